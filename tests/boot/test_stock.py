"""A stock-shaped RKE2 node on the modern bundle, without our daemon: RKE2's reader, its containerd configuration, its
way to import, its kubelet. And why there are two flavours: the classic containerd does not start there.
"""

import asyncio
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bundles import index
from bundles.datakey import data_key
from bundles.reference import Reference
from runtime.prove.boot import host_layout
from runtime.prove.ledger import Ledger
from runtime.prove.namespaces import Machine, start_switch
from tests.interop.conftest import wharfie as wharfie
from tests.support.gotools import go_tool
from tests.support.sites import ENV, plugged
from tests.support.stockshape import DATA

pytestmark = pytest.mark.real
SOCKET = "/run/k3s/containerd/containerd.sock"
ROOT = Path(__file__).resolve().parents[2]
SECONDS = 180.0


@pytest.fixture(scope="session")
def k3simport() -> Path:
    """What RKE2 does to import archives: see tests/tools/k3simport."""
    return go_tool("k3simport")


@asynccontextmanager
async def machine_with(ledger: Ledger, folder: Path, bundle: Path, wharfie: Path) -> AsyncIterator[Machine]:
    """A machine whose agent/images holds the bundle's archives as they are, and what RKE2 itself unpacks of them."""
    document = index.decode((bundle / index.INDEX_NAME).read_bytes())
    switch = await start_switch(folder / "switch.log", ENV, ipv6=False)
    try:
        async with plugged(ledger, folder, switch, bundle, 1, "server", bare=True) as joined:
            layout = host_layout(joined.machine.home)
            shutil.copytree(bundle / "images", layout.images)
            version = DATA / "data" / data_key(Reference.parse(document.runtime.reference))
            images, target, charts = map(str, (DATA / "agent/images", version / "bin", version / "charts"))
            await joined.machine.call([str(wharfie), images, document.runtime.reference, target, charts])
            (layout.data / "bin").symlink_to(version / "bin")
            yield joined.machine
    finally:
        await switch.child.stop(0.0)


def test_a_stock_shaped_node_starts_a_static_pod_of_the_modern_bundle(
    ledger: Ledger, tmp_path: Path, modern_bundle: Path, wharfie: Path, k3simport: Path
) -> None:
    async def inside() -> None:
        async with machine_with(ledger, tmp_path, modern_bundle, wharfie) as machine:
            env = {"PATH": f"{programs(modern_bundle)}:{ENV['PATH']}"}
            words = [sys.executable, "-m", "tests.support.stockshape", str(modern_bundle / index.INDEX_NAME)]
            words += [machine.name, str(machine.port.address)]
            kubelet = (await machine.call(words, env={"PYTHONPATH": str(ROOT)})).text.split("\n")
            log = machine.home / "containerd.log"
            config = DATA / "agent/etc/containerd/config.toml"
            await machine.start(["containerd", "-c", config], log=log, env=env)
            await until(machine, ["ctr", "-a", SOCKET, "version"], "Server:", log, env)
            imported = (await machine.call([k3simport, SOCKET, DATA / "agent/images"], timeout=SECONDS)).text
            document = index.decode((modern_bundle / index.INDEX_NAME).read_bytes())
            assert {tuple(line.split()[1:]) for line in imported.splitlines()} == {
                (image.reference, str(image.digest)) for image in document.images
            }
            log = machine.home / "kubelet.log"
            await machine.start(list(filter(None, kubelet)), log=log, env=env)
            for pod in ("etcd", "kube-apiserver"):
                ready = '{.status.conditions[?(@.type=="Ready")].status} {.spec.containers[0].image}'
                kubectl = ["kubectl", "--kubeconfig=/etc/rancher/rke2/rke2.yaml", "-n", "kube-system", "get", "pod"]
                asked = [*kubectl, f"{pod}-{machine.name}", f"-ojsonpath={ready}"]
                said = await until(machine, asked, "True ", log, env)
                assert "index.docker.io/rancher/hardened-" in said
            # Nothing was pulled: all there is came out of the archives.
            names = (await machine.call(["ctr", "-a", SOCKET, "-n", "k8s.io", "images", "ls", "-q"], env=env)).text
            assert {name for name in names.split() if "@" not in name and not name.startswith("sha256:")} == {
                image.reference for image in document.images
            }

    asyncio.run(inside())


def programs(bundle: Path) -> Path:
    """Where RKE2 has the runtime's programs: by the hash of the name that is compiled into it."""
    document = index.decode((bundle / index.INDEX_NAME).read_bytes())
    return DATA / "data" / data_key(Reference.parse(document.runtime.reference)) / "bin"


async def until(machine: Machine, argv: list[str], words: str, log: Path, env: dict[str, str]) -> str:
    """Asks until the answer holds these words."""
    said = ""
    for _ in range(int(SECONDS / 0.5)):
        answer = await machine.call(argv, env=env, check=False)
        said = answer.text
        if answer.code == 0 and words in said:
            return said
        await asyncio.sleep(0.5)
    raise AssertionError(f"{argv}: {said}\n{log.read_text(errors='replace')[-4000:]}")
