"""A real docker engine (Debian's) with folders and a socket of its own and no network, and its client."""

import subprocess
import tempfile
import time
from pathlib import Path
from shutil import rmtree
from types import TracebackType


class Dockerd:
    """`with Dockerd() as docker: docker("load", "-i", file)`; ended by pid, its folders removed."""

    def __init__(self) -> None:
        """Chooses a short folder: socket paths are bounded."""
        self._home = Path(tempfile.mkdtemp(prefix="dockerd-"))
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Dockerd":
        (self._home / "daemon.json").write_text("{}")
        log = (self._home / "log").open("wb")
        command = ["/usr/sbin/dockerd", "--host", self._socket, "--config-file", f"{self._home}/daemon.json"]
        command += ["--data-root", f"{self._home}/data", "--exec-root", f"{self._home}/exec"]
        command += ["--pidfile", f"{self._home}/pid", "--bridge=none", "--iptables=false", "--ip6tables=false"]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        for _ in range(300):
            if self("version", check=False).returncode == 0:
                return self
            if self._process.poll() is not None:
                break
            time.sleep(0.1)
        raise AssertionError((self._home / "log").read_text()[-3000:])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(30)
        subprocess.run(["umount", f"{self._home}/exec/netns/default"], capture_output=True)
        rmtree(self._home, ignore_errors=True)

    def __call__(self, *arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
        """`docker ARGUMENTS` at this engine."""
        command = ["/usr/bin/docker", "--host", self._socket, *map(str, arguments)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
        if check:
            assert done.returncode == 0, f"{command}\n{done.stderr}"
        return done

    @property
    def _socket(self) -> str:
        return f"unix://{self._home}/socket"
