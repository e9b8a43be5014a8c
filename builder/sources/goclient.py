"""The go command as a client of module proxies, with the store's module cache.

Where modules come from and which checksum database vouches for them is go's own configuration (`go help goproxy`,
`go help module-auth`); it is passed through. Everything go keeps lies in the store.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from builder.errors import StepError
from builder.process import Cancel, Completed, run
from builder.sources.environment import client_environment
from builder.sources.gomod import Download, Module, parse_downloads
from builder.store import Store
from bundles.errors import FormatError, MissingError, SealiftError
from bundles.platform import Platform

TOOLCHAIN: Final = "golang.org/toolchain"
_ATTEMPTS: Final = 3
# What go says of a network that failed on the way, and not of a server that answered: worth another try.
_TRANSIENT = re.compile(
    r"i/o timeout|TLS handshake|connection reset|unexpected EOF|temporary failure|50[0234] |stream error"
    r"|deadline exceeded",
    re.IGNORECASE,
)
_NO_NETWORK = re.compile(
    r"dial tcp|no such host|network is unreachable|connection refused|module lookup disabled", re.I
)
_TAMPERED = re.compile(r"checksum mismatch|SECURITY ERROR", re.IGNORECASE)
_NOT_IN_DATABASE = re.compile(r"verifying (?:module|go\.mod|\S+).*(?:404|410)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class GoClient:
    """A go program and what it may use. `host_env` is our own environment; `offline` never lets it ask anybody.

    `proxies` takes the place of the machine's GOPROXY: an input archive, alone when `offline`.
    """

    store: Store
    host_env: Mapping[str, str] = field(repr=False)
    program: str = "go"
    offline: bool = False
    cancel: Cancel | None = None
    proxies: str = ""

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        """The environment of a go command; `more` over the defaults."""
        ours = {
            "GOPATH": str(self.store.root / "go"),
            "GOMODCACHE": str(self.store.go_mod),
            "GOCACHE": str(self.store.go_build),
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
            "GO111MODULE": "on",
            "GOFLAGS": "-modcacherw",
            "GODEBUG": "",
            "GOEXPERIMENT": "",
            **({"GOPROXY": "off"} if self.offline else {}),
            **({"GOPROXY": self.proxies} if self.proxies else {}),
            # A file can be read offline, nobody can be asked: the lock's own hashes vouch for what it holds.
            **({"GONOPROXY": "none", "GOSUMDB": "off", "GOVCS": "*:off"} if self.proxies and self.offline else {}),
        }
        return client_environment(self.host_env, {**ours, **more})

    def setting(self, name: str) -> str:
        """What `go env NAME` says: the environment, go's own configuration file, or its default."""
        return self.call(["env", name], cwd=self.store.root, what=f"go env {name}").stdout.decode().strip()

    def call(
        self,
        arguments: Sequence[str],
        *,
        cwd: Path,
        what: str,
        check: bool = True,
        more: Mapping[str, str] | None = None,
    ) -> Completed:
        """`go ARGUMENTS` in `cwd`; raises StepError, and MissingError where there is no go."""
        try:
            return run(
                [self.program, *arguments],
                cwd=cwd,
                env=self.environment(more or {}),
                what=what,
                check=check,
                cancel=self.cancel,
            )
        except MissingError as exc:
            if self.program != "go":
                raise
            raise MissingError(
                "no go command on this machine", where=what, hint="install Debian's golang-go: it brings the exact one"
            ) from exc

    def download(
        self, modules: Iterable[Module], *, cwd: Path, what: str, more: Mapping[str, str] | None = None
    ) -> list[Download]:
        """Modules (or, when none, all that the go.mod in `cwd` requires) into the cache; go keeps what is whole there.

        Raises the error of the first module that could not be had; FormatError when a hash is not the expected one.
        """
        found, text = self.try_download(modules, cwd=cwd, what=what, more=more)
        for download in found:
            if download.error:
                raise download_error(download.error, str(download.module), what)
        if text:
            raise download_error(text, what, what)
        return found

    def try_download(
        self, modules: Iterable[Module], *, cwd: Path, what: str, more: Mapping[str, str] | None = None
    ) -> tuple[list[Download], str]:
        """The same, with errors left in the results; the text is go's own words when there are no results."""
        arguments = ["mod", "download", "-json", *map(str, modules)]
        for attempt in range(1, _ATTEMPTS + 1):
            done = self.call(arguments, cwd=cwd, what=what, check=False, more=more)
            found = parse_downloads(done.stdout)
            errors = "\n".join(download.error for download in found) + (done.tail if done.code else "")
            if done.code == 0 or attempt == _ATTEMPTS or not _TRANSIENT.search(errors):
                break
        failed = done.code != 0 and not any(download.error for download in found)
        return found, done.tail or f"exit code {done.code}" if failed else ""


def download_error(text: str, name: str, what: str) -> SealiftError:
    """go's words about a module that it could not get -> an error that says what to do."""
    got = text.strip()
    if _TAMPERED.search(got):
        hint = "the registry serves other bytes than were locked: find out why before you trust them"
        return FormatError(f"{name}: other content than its checksum says", where=what, got=got, hint=hint)
    if _NO_NETWORK.search(got):
        hint = "check the network and go's proxy settings (go env GOPROXY)"
        return MissingError(f"{name} cannot be fetched", where=what, got=got, hint=hint)
    if _NOT_IN_DATABASE.search(got):
        hint = "if you trust what is served, say `sumdb: false` in the component (`unverified` for what it requires)"
        return MissingError(f"the checksum database does not know {name}", where=what, got=got, hint=hint)
    return StepError(f"{name} cannot be fetched", where=what, got=got, hint="is the version spelled as its tag is?")


def toolchain_module(version: str, host: Platform) -> Module:
    """Go's version and the building machine's platform -> the module of that toolchain (go.dev/doc/toolchain)."""
    return Module(path=TOOLCHAIN, version=f"v0.0.1-go{version}.{host.os}-{host.architecture}")


def module_folder(store: Store, module: Module) -> Path:
    """Where a module's files are once it was fetched; never write there."""
    return store.go_mod / module.escaped


def module_zip(store: Store, module: Module) -> Path:
    """Where go keeps a module's zip."""
    return store.go_mod / "cache/download" / module.escaped_zip


def toolchain_folder(store: Store, version: str, host: Platform) -> Path:
    """GOROOT of a fetched toolchain."""
    return module_folder(store, toolchain_module(version, host))


def go_program(store: Store, version: str, host: Platform) -> Path:
    """The go command of a fetched toolchain; run it with GOTOOLCHAIN=local."""
    return toolchain_folder(store, version, host) / "bin/go"
