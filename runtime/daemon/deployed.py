"""deployed.json: which objects each file of server/manifests gave to the cluster, so that the rest can be removed."""

from pathlib import Path
from typing import Final

import msgspec

from bundles import jsontext
from bundles.digest import Digest
from bundles.errors import FormatError
from bundles.files import os_errors, write_atomic
from runtime.daemon.addons import ObjectKey
from runtime.layout import NodeLayout

_FORMAT: Final = "1.0"
_MAX_DOCUMENT: Final = 64 << 20  # bytes


class DeployedObject(msgspec.Struct, frozen=True, kw_only=True):
    """An object's name."""

    api_version: str
    kind: str
    namespace: str
    name: str


class DeployedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file by its path below server/manifests; `sha256` of what was applied."""

    path: str
    sha256: Digest
    objects: list[DeployedObject]

    def held(self) -> frozenset[ObjectKey]:
        """The objects."""
        return frozenset(
            ObjectKey(api_version=o.api_version, kind=o.kind, namespace=o.namespace, name=o.name) for o in self.objects
        )


class Deployed(msgspec.Struct, frozen=True, kw_only=True):
    """deployed.json."""

    format: str
    files: list[DeployedFile]


def deployed_path(layout: NodeLayout) -> Path:
    """Beside admitted.json."""
    return layout.admitted.with_name("deployed.json")


def read_deployed(layout: NodeLayout) -> dict[str, DeployedFile]:
    """By path. Raises FormatError when it cannot be understood: forgetting it would forget what is to be removed."""
    path = deployed_path(layout)
    with os_errors(path):
        try:
            with path.open("rb") as file:
                data = file.read(_MAX_DOCUMENT + 1)
        except FileNotFoundError:
            return {}
    try:
        document = jsontext.decode(data, Deployed, where=path, max_size=_MAX_DOCUMENT)
    except FormatError as exc:
        hint = "remove this file; objects that left their files since then stay in the cluster"
        raise FormatError(exc.message, where=path, got=exc.got, want=exc.want, hint=hint) from exc
    return {file.path: file for file in document.files}


def write_deployed(layout: NodeLayout, files: dict[str, DeployedFile]) -> None:
    """Replaces it, durably."""
    document = Deployed(format=_FORMAT, files=[files[path] for path in sorted(files)])
    write_atomic(deployed_path(layout), jsontext.encode_canonical(document))


def entry(path: str, sha256: Digest, objects: frozenset[ObjectKey]) -> DeployedFile:
    """What to remember of a file."""
    listed = [
        DeployedObject(api_version=o.api_version, kind=o.kind, namespace=o.namespace, name=o.name)
        for o in sorted(objects)
    ]
    return DeployedFile(path=path, sha256=sha256, objects=listed)
