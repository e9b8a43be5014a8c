"""Interfaces and packet filter rules, through the machine's own programs, or those inside the bundle's images."""

import contextlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from bundles.errors import SealiftError
from runtime import process
from runtime.reset.rules import tables_to_delete, without_ours

LINKS: Final = ("cni0", "flannel.1", "flannel-v6.1", "flannel-wg", "flannel-wg-v6", "kube-ipvs0")
_BRIDGE: Final = "cni0"
_NET: Final = Path("/sys/class/net")
_FLAVOURS: Final = ("iptables", "ip6tables", "iptables-nft", "ip6tables-nft", "iptables-legacy", "ip6tables-legacy")
_SNAPSHOTS: Final = Path("io.containerd.snapshotter.v1.overlayfs") / "snapshots"


def links_left() -> list[str]:
    """Our interfaces that are there, ports of the bridge first."""
    bridge = _NET / _BRIDGE / "brif"
    ports = sorted(port.name for port in bridge.iterdir()) if bridge.is_dir() else []
    return [*ports, *(name for name in LINKS if (_NET / name).exists())]


async def remove_links(env: Mapping[str, str]) -> int:
    """Deletes them; routes and addresses go with them. Raises MissingError when there are some and no `ip`."""
    names = links_left()
    for name in names:
        await process.call(["ip", "link", "delete", name], env=env, check=False)
    return len(names)


class Filter:
    """The packet filter, through programs that are run behind `prefix`."""

    def __init__(self, env: Mapping[str, str], prefix: Sequence[str] = ()) -> None:
        """`prefix`: `chroot FOLDER` for programs inside an image."""
        self._env, self._prefix = env, list(prefix)

    async def clean(self) -> int:
        """Takes our rules away -> how many rule sets were changed."""
        changed = 0
        for name in _FLAVOURS:
            saved = await self._try([f"{name}-save"])
            if saved and (kept := without_ours(saved)) is not None:
                await process.call(
                    [*self._prefix, f"{name}-restore"], env=self._env, feed=process.feed_bytes(kept.encode())
                )
                changed += 1
        ruleset = await self._try(["nft", "-j", "list", "ruleset"])
        for family, table in tables_to_delete(json.loads(ruleset)["nftables"] if ruleset else []):
            await self._try(["nft", "delete", "table", family, table])
            changed += 1
        return changed

    async def _try(self, argv: list[str]) -> str:
        """The output of a program that may not be there, or whose tables the kernel may not have."""
        with contextlib.suppress(SealiftError):
            output = await process.call([*self._prefix, *argv], env=self._env, check=False)
            return output.text if output.code == 0 else ""
        return ""


def find_filter(env: Mapping[str, str], containerd_root: Path) -> Filter | None:
    """The machine's programs; else those of an unpacked image layer that has them with their libraries; else None."""
    path = env.get("PATH", "")
    if any(shutil.which(name, path=path) for name in ("iptables-save", "nft")):
        return Filter(env)
    chroot = shutil.which("chroot", path=path)
    for layer in sorted((containerd_root / _SNAPSHOTS).glob("*/fs")) if chroot else []:
        for folder in ("usr/sbin", "sbin", "usr/local/sbin"):
            if (layer / folder / "iptables-save").is_symlink() or (layer / folder / "iptables-save").exists():
                inner = {**env, "PATH": "/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin"}
                return Filter(inner, [str(chroot), str(layer)])
    return None
