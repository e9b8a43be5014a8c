"""Programs that stand in for package clients, and a folder that stands in for a module proxy.

The fakes record how they were called; the proxy is a plain folder that the real go reads (`GOPROXY=file://...`).
"""

import io
import json
import shlex
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class FakePrograms:
    """A folder of shell scripts for PATH; each call leaves a line in `<name>.calls` with its arguments."""

    folder: Path

    def add(self, name: str, script: str) -> None:
        """`script` is a shell script; `$@` are the arguments."""
        self.folder.mkdir(parents=True, exist_ok=True)
        calls = shlex.quote(str(self.folder / f"{name}.calls"))
        program = self.folder / name
        program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> {calls}\n{script}\n')
        program.chmod(0o755)

    def calls(self, name: str) -> list[str]:
        """The arguments of every call so far, joined by blanks."""
        path = self.folder / f"{name}.calls"
        return path.read_text().splitlines() if path.exists() else []

    def environment(self, **more: str) -> dict[str, str]:
        """An environment in which these programs come first, with a home of its own."""
        return {"PATH": f"{self.folder}:{SYSTEM_PATH}", "HOME": str(self.folder), **more}


@dataclass(frozen=True)
class ModuleProxy:
    """A module proxy in a folder (`go help goproxy`): PATH/@v/{list,VERSION.info,VERSION.mod,VERSION.zip}."""

    folder: Path

    @property
    def url(self) -> str:
        """For GOPROXY."""
        return f"file://{self.folder}"

    def add(self, module: str, version: str, files: Mapping[str, str]) -> None:
        """Serves a module version; `files` by path below it, a go.mod among them unless it needs none."""
        served = self.folder / module / "@v"
        served.mkdir(parents=True, exist_ok=True)
        with (served / "list").open("a") as listed:
            listed.write(f"{version}\n")
        (served / f"{version}.info").write_text(json.dumps({"Version": version, "Time": "2026-01-01T00:00:00Z"}))
        (served / f"{version}.mod").write_text(files.get("go.mod", f"module {module}\n"))
        (served / f"{version}.zip").write_bytes(module_zip(module, version, files))


def module_zip(module: str, version: str, files: Mapping[str, str]) -> bytes:
    """The zip of a module version: every file below `MODULE@VERSION/`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, text in sorted(files.items()):
            archive.writestr(zipfile.ZipInfo(f"{module}@{version}/{path}"), text)
    return buffer.getvalue()


def serve_toolchain(proxy: ModuleProxy, version: str, real_go: Path) -> None:
    """Serves `go-toolchain:VERSION` for linux/amd64 whose go command is the real one."""
    proxy.add(
        "golang.org/toolchain",
        f"v0.0.1-go{version}.linux-amd64",
        {"bin/go": f'#!/bin/sh\nexec {shlex.quote(str(real_go))} "$@"\n', "VERSION": f"go{version}\n"},
    )


def serve_application(proxy: ModuleProxy) -> None:
    """Serves example.test/app v1.2.0 (programs cmd/app, cmd/tool) and the library it needs, in two versions.

    app asks for example.test/lib/alpha v0.9.0-rc.1, which nobody serves; v1.0.0 is served.
    """
    lib = {
        "go.mod": "module example.test/lib/alpha\n\ngo 1.21\n",
        "alpha.go": 'package alpha\n\nconst Word = "alpha"\n',
    }
    proxy.add("example.test/lib/alpha", "v1.0.0", lib)
    other = {"go.mod": "module example.test/lib/beta\n\ngo 1.21\n", "beta.go": 'package beta\n\nconst Word = "beta"\n'}
    proxy.add("example.test/lib/beta", "v0.1.0", other)
    main = 'package main\n\nimport "example.test/lib/%s"\n\nfunc main() { println(%s.Word) }\n'
    requires = "require (\n\texample.test/lib/alpha v0.9.0-rc.1\n\texample.test/lib/beta v0.1.0\n)\n"
    app = {
        "go.mod": f"module example.test/app\n\ngo 1.22.0\n\n{requires}",
        "cmd/app/main.go": main % ("alpha", "alpha"),
        "cmd/tool/main.go": main % ("beta", "beta"),
        "csrc/hello.c": "int main(void) { return 0; }\n",
    }
    proxy.add("example.test/app", "v1.2.0", app)
