"""What a program says of itself, so that it compares between machines."""

import os
import re
import subprocess
from typing import Final

from tests.emulate.roots import Root

# What asks a program for its version; all others know --version.
_WORDS: Final = {
    "busybox": (),
    "containerd-shim": ("-v",),
    "containerd-shim-runc-v1": ("-v",),
    "containerd-shim-runc-v2": ("-v",),
    "coredns": ("-version",),
    "entry": ("help",),
    "etcdctl": ("version",),
    "helm": ("version",),
    "kubectl": ("version", "--client"),
    "pause": ("-v",),
    "socat": ("-V",),
    "traefik": ("version",),
    "xtables-legacy-multi": ("iptables", "--version"),
    "xtables-nft-multi": ("iptables", "--version"),
}
_CNI: Final = ("bandwidth", "bridge", "firewall", "host-device", "host-local", "loopback", "portmap", "ptp", "static",
               "tuning")  # fmt: skip
# qemu-user has no netfilter sockets, and these open one before they know what they are asked: that they come so far,
# with all their libraries, is what there is to see.
_NETFILTER: Final = {"conntrack", "nft", "xtables-nft-multi"}
_NO_SOCKET: Final = "Protocol not supported"
_MACHINES: Final = re.compile(r"amd64|arm64|x86_64|aarch64")
# When a shim was started, who asks, what kernel qemu claims to be.
_CHANGING: Final = re.compile(r"(?m)^.*(running on|pid \d+).*$|0x[0-9a-f]{6,}")


def said(root: Root, path: str) -> str:
    """Both streams of the program, told its machine apart; with the exit code, which must be the same, too."""
    name = path.rpartition("/")[2]
    words, environment, given = _WORDS.get(name, ("--version",)), {"PATH": os.environ["PATH"], "HOME": "/nowhere"}, b""
    if name in _CNI:
        words, environment["CNI_COMMAND"], given = (), "VERSION", b'{"cniVersion":"1.0.0"}'
    done = subprocess.run(
        root.command(path, *words), input=given, env=environment, cwd=root.folder, timeout=300,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip
    text = _CHANGING.sub("...", done.stdout.decode("utf-8", "replace"))
    return f"{_MACHINES.sub('MACHINE', text).strip()}\nexit code {done.returncode}"


def same(path: str, ours: str, theirs: str) -> bool:
    """Whether the emulated program says what ours says, or all that it can say in qemu-user."""
    stopped = path.rpartition("/")[2] in _NETFILTER and _NO_SOCKET in theirs
    return bool(ours) and (ours == theirs or stopped)
