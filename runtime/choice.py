"""Which runtime image a node unpacks: the flag, the configuration, the admitted bundle, or the only one there is.

The spelling counts: RKE2 hashes the reference as it was typed (see bundles.datakey), so a flag or a setting is taken
as it stands, and a bundle's reference in the short form that RKE2 bakes into itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bundles.digest import Digest
from bundles.errors import FormatError, UsageError
from bundles.reference import Reference
from runtime.admitted import Admitted
from runtime.nodeconf.settings import Setting

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
        setting = _read_mapping(path).get(_KEY)
        if setting is None:
            continue
        try:
            (found,) = setting.values
            Reference.parse(found)
        except (ValueError, FormatError) as exc:
            got = ", ".join(setting.values)
            raise UsageError("no image reference", where=f"{setting.where}:{_KEY}", got=got) from exc
    return found


def _typed(text: str, why: str, admitted: Admitted | None) -> Choice:
    try:
        reference = Reference.parse(text.strip())
    except FormatError as exc:
        raise FormatError(exc.message, where=why, got=exc.got, want=exc.want) from exc
    if reference.digest is not None:
        hint = "name it by its tag; its digest is checked against the admitted bundle"
        raise UsageError("archives are found by tag, not by digest", where=why, got=text, hint=hint)
    same = admitted is not None and Reference.parse(admitted.runtime.reference).name == reference.name
    return Choice(reference=reference, why=why, digest=admitted.runtime.digest if admitted and same else None)


def _read_mapping(path: Path) -> Mapping[str, Setting]:
    """Read as the node's own configuration is: texts as typed, and nothing that grows when it is read."""
    from runtime.nodeconf.read import parse_text, read_text  # YAML: slow to load when there is no configuration

    if not path.is_file():
        raise UsageError("no such configuration file", where=path)
    return parse_text(read_text(path), str(path), [])
