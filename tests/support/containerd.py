"""A real containerd on a socket, state and root of its own, and the two clients that talk to it.

Every process is started here and ended by pid; nothing of the machine's own containerd is touched.
"""

import os
import secrets
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType

# restrict_oom_score_adj: without CAP_SYS_RESOURCE runc cannot give the pause container its negative score.
_CONFIG = """
version = 2
root = "{root}"
state = "{state}"
[grpc]
  address = "{socket}"
[ttrpc]
  address = "{socket}.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
  path = "{home}/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{home}/cni/bin"
    conf_dir = "{home}/cni/conf"
"""
# What only containerd 2 reads: docs/containerd-2.0.md of containerd, "What's breaking?".
_CONFIG_3 = """
version = 3
root = "{root}"
state = "{state}"
[grpc]
  address = "{socket}"
[ttrpc]
  address = "{socket}.ttrpc"
[plugins.'io.containerd.internal.v1.opt']
  path = "{home}/opt"
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = "{pause}"
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
      SystemdCgroup = false
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dir = "{home}/cni/bin"
    conf_dir = "{home}/cni/conf"
"""
_CONFIGS = {2: _CONFIG, 3: _CONFIG_3}


class Containerd:
    """`with Containerd(programs, home) as daemon:` starts `containerd` found in `path`, and ends it and its shims."""

    def __init__(
        self,
        path: str,
        home: Path,
        *,
        pause: str = "docker.io/rancher/mirrored-pause:none",
        more: str = "",
        version: int = 2,
    ) -> None:
        """`path` is the whole PATH of the daemon and of its clients; `home` a private, empty folder; `more` TOML of
        this `version` of its configuration.
        """
        self.path = path
        self.home = home
        self.socket = Path("/run") / f"sealift-test-{secrets.token_hex(4)}.sock"  # unix sockets: 107 bytes at most
        home.mkdir(parents=True, exist_ok=True)
        self._config = home / "config.toml"
        self._config.write_text(
            _CONFIGS[version].format(
                root=home / "root", state=home / "state", socket=self.socket, home=home, pause=pause
            )
            + more
        )
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Containerd":
        log = (self.home / "containerd.log").open("wb")
        self._process = subprocess.Popen(
            [self._find("containerd"), "-c", str(self._config)],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        log.close()
        for _ in range(300):
            if self.socket.exists() and self.ctr("version", check=False).returncode == 0:
                return self
            if self._process.poll() is not None:
                break
            time.sleep(0.1)
        self.__exit__(None, None, None)
        raise AssertionError((self.home / "containerd.log").read_text()[-3000:])

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        for namespace in ("default", "k8s.io"):
            for task in self.ctr("-n", namespace, "tasks", "ls", "-q", check=False).stdout.split():
                self.ctr("-n", namespace, "tasks", "rm", "-f", task, check=False)
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(20)
        self._end_shims()
        self._unmount()
        for path in (self.socket, Path(f"{self.socket}.ttrpc")):
            path.unlink(missing_ok=True)

    def ctr(self, *arguments: str, check: bool = True, timeout: int = 120) -> subprocess.CompletedProcess[str]:
        """`ctr` at this daemon; fails with its stderr."""
        return self._client([self._find("ctr"), "-a", str(self.socket), *arguments], check, timeout)

    def crictl(self, *arguments: str, check: bool = True, timeout: int = 120) -> subprocess.CompletedProcess[str]:
        """`crictl` at this daemon."""
        endpoint = f"unix://{self.socket}"
        command = [self._find("crictl"), "--config", str(self._crictl_config(endpoint)), *arguments]
        return self._client(command, check, timeout)

    def _crictl_config(self, endpoint: str) -> Path:
        path = self.home / "crictl.yaml"
        path.write_text(f"runtime-endpoint: {endpoint}\nimage-endpoint: {endpoint}\ntimeout: 20\n")
        return path

    def _client(self, command: list[str], check: bool, timeout: int) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command, env=self._environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout
        )
        if check:
            assert done.returncode == 0, f"{command}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    @property
    def _environment(self) -> dict[str, str]:
        return {"PATH": self.path, "HOME": str(self.home)}

    def _find(self, program: str) -> str:
        for folder in self.path.split(":"):
            if (Path(folder) / program).exists():
                return f"{folder}/{program}"
        raise AssertionError(f"no {program} in {self.path}")

    def _end_shims(self) -> None:
        """Shims outlive the daemon by design: those that name our socket are ours."""
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    command = (entry / "cmdline").read_bytes()
                except OSError:
                    continue
                if b"containerd-shim" in command and str(self.socket).encode() in command:
                    os.kill(int(entry.name), signal.SIGKILL)

    def _unmount(self) -> None:
        mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        for mount in reversed([mount for mount in mounts if mount.startswith(f"{self.home}/")]):
            subprocess.run(["umount", "-l", mount], check=False)
