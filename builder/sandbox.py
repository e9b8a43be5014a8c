"""How a build step runs without any network: in a network namespace of its own, which has no way out.

Nothing is set up in there, not even loopback: a step that asks for an address fails at once instead of hanging.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from builder.errors import StepError
from builder.process import run
from bundles.errors import MissingError

# Root needs no user namespace; anybody else gets one in which they are root (unshare(1)).
_NAMESPACES: Final = (("unshare", "--net", "--"), ("unshare", "--map-root-user", "--net", "--"))
# When we are killed with SIGKILL, nobody is left to end the program: the kernel does it (setpriv(1), prctl(2)).
_WITH_US: Final = ("setpriv", "--pdeathsig", "KILL", "--")
_WAYS: Final = (*((*way, *_WITH_US) for way in _NAMESPACES), *_NAMESPACES)
_PROBE_SECONDS: Final = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Sandbox:
    """`prefix` is put before a command; empty where the machine allows no network namespace."""

    prefix: tuple[str, ...]

    @property
    def isolated(self) -> bool:
        """Whether commands run without network."""
        return bool(self.prefix)

    @property
    def name(self) -> str:
        """In words, for the plan and the provenance: `network namespace` or `none`."""
        return "network namespace" if self.prefix else "none"

    def wrap(self, argv: Sequence[str]) -> list[str]:
        """A command -> the command that runs it inside."""
        return [*self.prefix, *argv]

    def require(self) -> "Sandbox":
        """Itself; raises MissingError where commands would see the network (`--require-sandbox`)."""
        if not self.isolated:
            raise MissingError(
                "this machine allows no network namespace, and --require-sandbox was given",
                hint="run as root, allow unprivileged user namespaces, or install util-linux (unshare)",
            )
        return self


NONE: Final = Sandbox(prefix=())


def detect(env: Mapping[str, str]) -> Sandbox:
    """The first way that works on this machine, tried out: inside there must be no interface but loopback."""
    for prefix in _WAYS:
        try:
            seen = run([*prefix, "cat", "/proc/net/dev"], cwd=Path("/"), env=env, timeout=_PROBE_SECONDS)
        except (MissingError, StepError):
            continue
        if _interfaces(seen.stdout) <= {"lo"}:
            return Sandbox(prefix=prefix)
    return NONE


def _interfaces(text: bytes) -> set[str]:
    # proc(5), /proc/net/dev: two lines of headings, then `name: counters`. A kernel may add tunnel devices (tunl0,
    # sit0, ...) to every namespace; they have no address and count as nothing here.
    names = {line.partition(":")[0].strip() for line in text.decode().splitlines()[2:]}
    return {name for name in names if not name.startswith(("tunl", "sit", "gre", "erspan", "ip_vti", "ip6"))}
