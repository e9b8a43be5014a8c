"""Which runtime image a node unpacks: the flag, the configuration, the admitted bundle, or the only one there is.

The spelling counts: RKE2 hashes the reference as it was typed (see bundles.datakey), so a flag or a setting is taken
as it stands, and a bundle's reference in the short form that RKE2 bakes into itself.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bundles.digest import Digest
from bundles.errors import UsageError
from bundles.files import os_errors
from bundles.reference import Reference
from runtime.admitted import Admitted

_MAX_CONFIG: Final = 1 << 20  # bytes
_KEY: Final = "runtime-image"


@dataclass(frozen=True, kw_only=True, slots=True)
class Choice:
    """A runtime image: `why` in words; `digest` when a record says which bytes it must be.

    `reference` None: whatever single rke2-runtime image is in agent/images.
    """

    reference: Reference | None
    why: str
    digest: Digest | None = None


def choose(*, flag: str | None, configured: str | None, admitted: Admitted | None) -> Choice:
    """The three places, in this order -> Choice; UsageError for a digest reference, FormatError for a malformed one.

    The admitted digest counts for every spelling of the admitted reference.
    """
    if flag is not None:
        return _typed(flag, "--runtime-image", admitted)
    if configured is not None:
        return _typed(configured, "runtime-image of the configuration", admitted)
    if admitted is not None:
        reference = baked_in(Reference.parse(admitted.runtime.reference))
        return Choice(reference=reference, why=f"the admitted bundle {admitted.bundle}", digest=admitted.runtime.digest)
    return Choice(reference=None, why="the only rke2-runtime image in agent/images")


def baked_in(reference: Reference) -> Reference:
    """The same image in the spelling RKE2 is built with: without docker.io."""
    return Reference.parse(reference.familiar)


def configured_image(config: Path) -> str | None:
    """`runtime-image` of RKE2's configuration: FILE, then FILE.d/*.yaml in order of name, the last one wins.

    Raises UsageError when FILE is missing or is not YAML with a mapping at its top.
    """
    found = None
    for path in (config, *sorted(Path(f"{config}.d").glob("*.yaml"))):
        if (value := _read_mapping(path).get(_KEY)) is None:
            continue
        if not isinstance(value, str):
            raise UsageError("not a text", where=f"{path}: {_KEY}", got=repr(value), want="an image reference")
        found = value
    return found


def _typed(text: str, why: str, admitted: Admitted | None) -> Choice:
    reference = Reference.parse(text.strip())
    if reference.digest is not None:
        hint = "name it by its tag; its digest is checked against the admitted bundle"
        raise UsageError("archives are found by tag, not by digest", where=why, got=text, hint=hint)
    same = admitted is not None and Reference.parse(admitted.runtime.reference).name == reference.name
    return Choice(reference=reference, why=why, digest=admitted.runtime.digest if admitted and same else None)


def _read_mapping(path: Path) -> dict[object, object]:
    import yaml  # not needed, and slow to load, when there is no configuration

    if not path.is_file():
        raise UsageError("no such configuration file", where=path)
    with os_errors(path), path.open("rb") as file:
        data = file.read(_MAX_CONFIG + 1)
    if len(data) > _MAX_CONFIG:
        raise UsageError("configuration file too large", where=path, want=f"<= {_MAX_CONFIG} bytes")
    try:
        document = yaml.safe_load(data)
    except (yaml.YAMLError, ValueError, RecursionError) as exc:
        raise UsageError(f"not YAML: {exc}", where=path) from exc
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise UsageError("not a mapping", where=path, want="key: value lines")
    return document
