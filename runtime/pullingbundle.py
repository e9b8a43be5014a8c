"""A whole bundle out of a site's registry, where `sealift push` put it, into a node: through the gate that `stage` has.

First what decides: bundle.json and its signatures. They pass the gate before an archive is fetched, and the whole
bundle passes it again, as a staged one does. A fetch that was cut goes on where it ended.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bundles.digest import Digest
from bundles.errors import FormatError, TrustError
from bundles.files import make_folders, write_atomic
from bundles.index import INDEX_NAME
from bundles.platform import Platform
from bundles.registry.client import HttpRegistry, Settings
from bundles.registry.found import Found, find, signatures_of
from bundles.registry.place import Place
from bundles.registry.pull import pull_bundle
from bundles.registry.registriesyaml import Registries
from bundles.registry.timing import Timing, real_timing
from bundles.registry.wire import Wire
from bundles.source import open_source
from bundles.talk import Progress
from runtime.folders import SECRET_MODE, ensure_folder, remove
from runtime.layout import NodeLayout
from runtime.offer import read_offer
from runtime.pulling import keys_of
from runtime.stage import StageReport, stage
from runtime.trusting.gate import Asked, Gate, passing


@dataclass(frozen=True, kw_only=True, slots=True)
class From:
    """What the command line gives: `now` in epoch seconds; `env` for proxies and the user's credentials."""

    place: Place
    registries: Registries
    layout: NodeLayout
    asked: Asked
    platform: Platform
    now: int
    progress: Progress
    say: Callable[[str], None]
    env: Mapping[str, str] = field(repr=False)
    timing: Timing = field(default_factory=real_timing)


def pull_from(given: From) -> StageReport:
    """Fetches what lies at a place, checks, admits.

    Raises TrustError when the bundle is refused, FormatError for what is no bundle, is damaged, or is for another
    platform; SealiftError for what the registry says.
    """
    registries = given.registries
    settings = Settings(
        ways=registries.ways(), wire=Wire(env=given.env, hosts=registries.tls()), keys=keys_of(registries, given.env)
    )
    registry = HttpRegistry(settings, given.timing)
    ensure_folder(given.layout.data)
    try:
        with passing(given.layout, given.asked, event="pull", what=given.place, now=given.now, say=given.say) as gate:
            found = find(registry, given.place, given.platform)
            room = given.layout.pulled / Digest.of(found.data).hex
            ensure_folder(given.layout.pulled, SECRET_MODE)
            ensure_folder(room, SECRET_MODE)
            _decide(given, gate, found, signatures_of(registry, found), room)
            pulled = pull_bundle(registry, given.place, room, given.progress, given.platform)
            return _admit(given, gate, pulled.folder, room)
    finally:
        registry.close()


def _decide(given: From, gate: Gate, found: Found, signatures: Mapping[str, bytes], room: Path) -> None:
    """All that can be known before an archive is here; attestations of files are judged by `stage`."""
    small = room / "offer"
    remove(small)
    make_folders(small)
    for name, data in {INDEX_NAME: found.data, **signatures}.items():
        write_atomic(small / name, data)
    offer = read_offer(small, gate.trust)
    if offer.index.platform != str(given.platform):
        got, want = offer.index.platform, given.platform
        raise FormatError("the bundle is for another platform", where=given.place, got=got, want=want)
    with open_source(small) as source:
        verdict = gate.trust.examine(offer.index, offer.decision, source, now=gate.time)
    gate.decide(offer.index, verdict, str(given.place))
    given.say(f"fetching {offer.name} from {given.place}")


def _admit(given: From, gate: Gate, folder: Path, room: Path) -> StageReport:
    try:
        report = stage(
            folder, given.layout, gate.trust, platform=given.platform, now=given.now, progress=given.progress,
            say=given.say, gate=gate, take=True,
        )  # fmt: skip
    except (FormatError, TrustError):
        remove(room)  # nothing of a bad bundle is worth keeping
        raise
    remove(given.layout.pulled)
    return report
