"""The small Go programs of tests/tools, built once per content of their sources with the bundle's own toolchain."""

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def store_root() -> Path:
    """Where Sealift keeps its store, by the same rule."""
    if chosen := os.environ.get("SEALIFT_STORE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sealift"


def go_program() -> Path:
    """The newest Go toolchain in the store (`make bundle` brings it), else the machine's."""
    found = sorted((store_root() / "go/mod/golang.org").glob("toolchain@*/bin/go"))
    if found:
        return found[-1]
    machine = shutil.which("go")
    assert machine, "no Go toolchain: run make bundle first"
    return Path(machine)


def go_tool(name: str, package: str = ".") -> Path:
    """Builds tests/tools/NAME (cached by content) and returns the program."""
    folder = ROOT / "tests/tools" / name
    go = go_program()
    content = hashlib.sha256(f"{go}\0{package}".encode())
    for path in sorted(folder.iterdir()):
        content.update(path.name.encode() + b"\0" + path.read_bytes())
    target = store_root() / "test-tools" / f"{name}-{content.hexdigest()[:16]}"
    target.parent.mkdir(parents=True, exist_ok=True)
    # One builder at a time: the others, of this run or another, find it built.
    with (target.parent / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if target.exists():
            return target
        with tempfile.TemporaryDirectory(dir=target.parent) as temp:
            built = Path(temp) / name
            command = [str(go), "build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-o", str(built), package]
            environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": ""}
            subprocess.run(command, cwd=folder, env=environment, check=True)
            built.rename(target)
    return target
