"""The node's file of private registries (`private-registry`, registries.yaml): read once, at the edge."""

from pathlib import Path
from typing import Final

import yaml

from bundles.errors import FormatError, UsageError
from bundles.registry.registriesread import read_registries
from bundles.registry.registriesyaml import Registries
from runtime import yamlread
from runtime.nodefiles import read_file

PRIVATE_REGISTRY: Final = Path("/etc/rancher/rke2/registries.yaml")


def read_private_registry(path: Path | None) -> Registries:
    """What the file says; `path` None: RKE2's own, which need not be there.

    Raises UsageError for a named file that is missing, FormatError and ProblemsError for what it says; no message
    shows what stands in it.
    """
    place = path or PRIVATE_REGISTRY
    if (data := read_file(place)) is None:
        if path is not None:
            raise UsageError("no such file", where=path, hint="private-registry names it")
        return Registries()
    try:
        found = list(yamlread.documents(data, place, yaml.CBaseLoader))
    except FormatError:
        # YAML's own words quote the line, which may hold a password.
        raise FormatError("not YAML", where=place, hint="check its indentation and quotes") from None
    if len(found) > 1:
        raise FormatError("several documents where one must be", where=place)
    return read_registries(found[0] if found else None, where=place)
