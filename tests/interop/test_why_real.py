"""A reviewer follows bytes of the real bundles to lines of their locks."""

import json
from pathlib import Path
from typing import Any

import pytest

from builder.lock.text import read_lock
from bundles import index
from tests.support.node import sealift

pytestmark = pytest.mark.real
ROOT = Path(__file__).resolve().parents[2]
RKE2, HELLO = ROOT / "recipes/rke2-v1.34", ROOT / "recipes/hello"


def why(bundle: Path, what: str, *words: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(sealift("why", bundle, what, *map(str, words), "--json").stdout)
    return found


def texts(recipe: Path, file: dict[str, Any]) -> list[str]:
    """What stands in the lines that are named."""
    rows = [row["where"].split(":") for row in file["lines"]]
    return [(recipe / name).read_text().splitlines()[int(number) - 1] for name, number in rows]


@pytest.mark.parametrize(
    ("path", "component"), [("/bin/runc", "runc"), ("/bin/socat", "socat"), ("/bin/ctr", "containerd")]
)
def test_a_program_of_the_runtime_leads_to_its_lines(rke2_bundle: Path, path: str, component: str) -> None:
    (file,) = why(rke2_bundle, f"rke2-runtime:{path}", "--recipe", RKE2)["files"]
    assert file["part"]["component"] == component and file["step"]["name"] == f"component {component}"
    plan = json.loads(sealift("plan", RKE2, "--json").stdout)["steps"]
    assert file["step"]["id"] in {step["id"] for step in plan}
    said = texts(RKE2, file)
    assert f"  {component}: /bin" in said[0].replace("- ", "  ") and said[1].startswith(f"{component}:")
    assert said[2] == f"- component: {component}"
    lock = read_lock(RKE2)
    if lock.buildroot:
        rows = [row["what"] for row in file["lines"] if row["what"].startswith("build root: deb:")]
        assert any("/gcc=" in row for row in rows) and any("/libc6-dev=" in row for row in rows)
    (made,) = (row["what"] for row in file["part"]["made"] if row["how"] == "made from")
    (source,) = (each.source for each in lock.of(component))
    assert source.partition(":")[2] in made


def test_a_byte_in_the_middle_of_an_archive_leads_to_the_lock(rke2_bundle: Path) -> None:
    document = index.decode((rke2_bundle / index.INDEX_NAME).read_bytes())
    for archive in document.archives:
        found = why(rke2_bundle, archive.path, "--offset", archive.size // 2, "--recipe", RKE2)
        assert found["files"] and " of layer " in found["byte"]["what"]
        for file in found["files"]:
            assert any(row["where"].startswith("lock.yaml:") for row in file["lines"]), file["path"]


def test_files_of_packages_and_charts_lead_to_their_lines(rke2_bundle: Path) -> None:
    (shell,) = why(rke2_bundle, "hardened-flannel:/bin/busybox", "--recipe", RKE2)["files"]
    assert any("busybox-static=" in row["what"] for row in shell["lines"])
    (chart,) = why(rke2_bundle, "rke2-runtime:/charts/rke2-coredns.yaml", "--recipe", RKE2)["files"]
    assert texts(RKE2, chart)[-1].startswith("- {name: coredns")


def test_the_small_bundle_is_followed_by_its_own_words_alone(hello_bundle: Path) -> None:
    (file,) = why(hello_bundle, "/pause")["files"]
    assert file["part"]["key"] == "program:pause/pause" and file["lines"] == []
    (with_recipe,) = why(hello_bundle, "/pause", "--recipe", HELLO)["files"]
    assert "component: pause" in texts(HELLO, with_recipe)[2]
