"""`build --check --against`: a bundle of somebody else is compared with what this machine builds from the same lock.

That is what a second builder is for: nobody has to be believed who built alone. What is finished in this machine's own
store counts, nothing of the given bundle does.

Countersigned is what is equal in every byte. Archives that are equal while the descriptions are not (another compiler
package, a machine without sandbox) are a result too, and a strong one; but a signature covers the whole bundle, with
what it says of the first builder's machine. So that has to be asked for, and then the second builder's own provenance
and SBOMs are signed as its statements about the bundle: nobody vouches for a machine that is not theirs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from builder.assemble import BundleSpec, write_bundle
from builder.errors import RecipeError
from builder.mirror.archives import TakenArchives
from builder.mirror.bring import bringer
from bundles import index
from bundles.digest import Digest
from bundles.errors import SealiftError
from bundles.files import os_errors
from bundles.index import BundleIndex
from bundles.signing.names import ATTESTED
from bundles.source import open_source

if TYPE_CHECKING:
    from builder.build import BuildOptions
    from bundles.compare.bundle import Comparison


@dataclass(frozen=True, kw_only=True, slots=True)
class Against:
    """The bundle to compare with; `other_builder`: it may differ in what its builder says of itself."""

    bundle: Path
    other_builder: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Confirmed:
    """A bundle that is the same: its index as we would write it, and the digest of its own bundle.json.

    `own`: our documents by name, where they differ from those of the bundle.
    """

    document: BundleIndex
    index: Digest
    own: Mapping[str, bytes]


def refuse_other_lock(bundle: Path, lock: Digest) -> None:
    """Fails in the first second when the given bundle says that it was built from another lock."""
    with open_source(bundle) as source:
        data, _ = source.envelope()
    said = index.decode(data, where=f"{bundle}: {index.INDEX_NAME}").lock.sha256
    if said != lock:
        hint = "compare with the recipe and lock that it was built from"
        raise RecipeError("the bundle was built from another lock", where=bundle, got=said, want=lock, hint=hint)


def confirm(spec: BundleSpec, against: Against, options: "BuildOptions") -> Confirmed:
    """Writes the bundle of `spec` aside, compares it with the given one, and removes it.

    Raises SealiftError with all that differs.
    """
    from bundles.compare.bundle import compare  # with all that looks into layers: no other build does

    options.talk.say(f"comparing with {against.bundle}")
    with options.store.temp_folder("against") as folder:
        make = TakenArchives(bringer(spec.facts.lock, options)).make
        written = write_bundle(spec, folder, options.store, workers=options.jobs, make=make)
        found = compare(folder, against.bundle)
        if not found.same and not (against.other_builder and found.same_content):
            raise _different(against.bundle, found)
        own = {} if found.same else _documents(folder)
    words = "the same in every byte" if found.same else "the same archives; what the builders say of themselves differs"
    options.talk.say(f"compared: {words} ({found.files} files)")
    for one in found.differences:
        options.talk.say(f"  {one}")
    return Confirmed(document=written.document, index=found.index, own=own)


def _documents(folder: Path) -> dict[str, bytes]:
    with os_errors(folder):
        return {name: (folder / name).read_bytes() for name in ATTESTED if (folder / name).exists()}


def _different(bundle: Path, found: "Comparison") -> SealiftError:
    rows = "\n".join(f"  {one}" for one in found.differences)
    if found.same_content:
        what = "every archive is the same; only what the two builders say of themselves differs"
        hint = "build on a machine with the same tools and sandbox, or say --other-builder: then you sign your own say"
    else:
        what = "this machine builds something else from the same lock"
        hint = "do not sign it before you know why: the paths above say what differs first"
    return SealiftError(f"{what}:\n{rows}", where=bundle, hint=hint)
