"""What a proof chooses of its bundle: settings of its servers, decided as a server decides them. Pure."""

from collections.abc import Iterable, Iterator, Mapping

from bundles.choices import CNI, INGRESS, NONE
from bundles.errors import UsageError
from bundles.index import BundleIndex
from runtime.choices import Chosen, decide
from runtime.nodeconf.parse import Machine, parse
from runtime.nodeconf.settings import from_flags
from runtime.prove.hands import PATHS


def read_choices(texts: Iterable[str]) -> dict[str, str]:
    """`KEY=NAME` words of the command line -> settings. Raises UsageError."""
    found = {}
    for text in texts:
        key, _, name = text.partition("=")
        if key not in (CNI, INGRESS) or not name:
            raise UsageError("not a choice", where="--choose", got=text, want=f"{CNI}=NAME or {INGRESS}=NAME[,NAME]")
        if (key, name) == (CNI, NONE):
            hint = "a proof needs one of the bundle"
            raise UsageError("without a pod network no node becomes Ready", where="--choose", got=text, hint=hint)
        found[key] = name
    return found


def chosen_by(choices: Mapping[str, str], index: BundleIndex) -> Chosen:
    """Settings and a bundle -> what runs of it. Raises ProblemsError for what the bundle does not have."""
    machine = Machine(hostname="prove", address=None)
    settings = from_flags([("node-ip", "192.0.2.1"), *choices.items()])  # RFC 5737: any address
    return decide(parse(settings, role="server", paths=PATHS, machine=machine, where="--choose").config, index)


def told(chosen: Chosen) -> Iterator[str]:
    """What is proved, and that nobody serves Ingresses where nobody does."""
    yield from (f"{key}: {name}" for key, name in chosen.settings().items())
    if chosen.ingress in ((), (NONE,)):
        yield "no ingress controller: nothing is asked through an Ingress"
