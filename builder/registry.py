"""The registry client as the command line wants it: options, environment, credential helpers through our one door."""

from collections.abc import Mapping
from pathlib import Path

from builder.errors import StepError
from builder.process import run
from bundles.errors import MissingError, SealiftError
from bundles.registry.authfiles import Keyring
from bundles.registry.bandwidth import Bucket
from bundles.registry.client import HttpRegistry, Settings
from bundles.registry.mirrors import parse_mirrors
from bundles.registry.timing import real_timing
from bundles.registry.wire import Wire

_TIMEOUT = 60.0  # seconds that a helper may take: some ask their user
_NONE = "credentials not found"  # docker-credential-helpers: the error that means "ask without"


def open_registry(
    env: Mapping[str, str],
    *,
    ca: tuple[Path, ...] = (),
    plain: bool | None = None,
    mirrors: tuple[str, ...] = (),
    bucket: Bucket | None = None,
) -> HttpRegistry:
    """The client; the caller closes it. See `builder.reach`. Raises UsageError for mirrors that cannot be read."""
    settings = Settings(
        ways=parse_mirrors(mirrors, plain=plain),
        wire=Wire(ca_files=ca, env=env),
        keys=Keyring(env, lambda name, host: ask_helper(name, host, env)),
        bucket=bucket,
    )
    return HttpRegistry(settings, real_timing())


def ask_helper(name: str, host: str, env: Mapping[str, str]) -> bytes | None:
    """`docker-credential-NAME get`, the registry on its standard input; None when it knows none.

    What it prints is a secret: it is in no log, and in no error.
    """
    words = [f"docker-credential-{name}", "get"]
    try:
        done = run(
            words, cwd=Path("/"), env=env, what="credentials", stdin=host.encode(), check=False, timeout=_TIMEOUT
        )
    except MissingError as exc:
        raise MissingError(f"program not found: {words[0]}", where=host, hint="config.json names it") from exc
    except StepError as exc:
        raise SealiftError(exc.message, where=f"{words[0]} for {host}") from None
    if done.code == 0:
        return done.stdout
    if _NONE in (done.stdout.decode("utf-8", "replace") + done.tail).lower():
        return None
    raise SealiftError(f"failed with exit code {done.code}", where=f"{words[0]} for {host}")
