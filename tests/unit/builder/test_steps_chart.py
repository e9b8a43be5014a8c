"""Charts: an archive as Helm reads it, a manifest as RKE2 writes it, always the same bytes."""

import base64
import gzip
import io
import os
import tarfile
from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest
import yaml

from builder.errors import StepError
from builder.lock.model import LockedChart
from builder.plan.model import Receipt, content_id
from builder.recipe.model import FolderChart
from builder.steps import chart
from builder.store import Store
from builder.tree import folder_digest
from bundles.digest import Digest
from tests.support.stepping import EPOCH, a_recipe, run_job, write_tree

CHART = FolderChart(name="dns", folder=PurePosixPath("charts/dns"), bootstrap=True)
FILES = {
    "Chart.yaml": "apiVersion: v2\nname: coredns\nversion: 1.2.3\n",
    "values.yaml": "global: {}\n",
    "templates/b.yaml": "kind: B\n",
    "templates/a.yaml": "kind: A\n",
    "templates.txt": "sorted between\n",
}
WANT = """\
apiVersion: helm.cattle.io/v1
kind: HelmChart
metadata:
  name: "rke2-dns"
  namespace: "kube-system"
  annotations:
    helm.cattle.io/chart-url: "sealift:coredns-1.2.3.tgz"
    rke2.cattle.io/inject-cluster-config: "true"
spec:
  forceConflicts: true
  failurePolicy: retry
  bootstrap: true
  takeOwnership: false
  chartContent: CONTENT
"""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def build(folder: Path, store: Store, one: FolderChart = CHART) -> Receipt:
    write_tree(folder / "charts/dns", FILES)
    locked = LockedChart(name="coredns", version="1.2.3", digest=folder_digest(folder / "charts/dns"))
    return run_job(chart.describe(one, locked, EPOCH), a_recipe(folder, charts=(one,)), store)


def test_the_archive_holds_the_folder_below_the_charts_name(tmp_path: Path, store: Store) -> None:
    receipt = build(tmp_path, store)
    assert set(receipt.outputs) == {"coredns-1.2.3.tgz", "rke2-dns.yaml"}
    assert receipt.facts == {"name": "coredns", "version": "1.2.3", "archive": "coredns-1.2.3.tgz"}
    content = store.read(receipt.outputs["coredns-1.2.3.tgz"].digest)
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        members = archive.getmembers()
        assert [member.name for member in members] == sorted(f"coredns/{name}" for name in FILES)
        assert {(m.mode, m.mtime, m.uid, m.gid, m.uname, m.gname, m.type) for m in members} == {
            (0o644, EPOCH, 0, 0, "", "", tarfile.REGTYPE)
        }
        read = {m.name.removeprefix("coredns/"): archive.extractfile(m).read().decode() for m in members}  # type: ignore[union-attr]
    assert read == FILES


def test_the_gzip_header_names_no_file_and_no_time(tmp_path: Path, store: Store) -> None:
    content = store.read(build(tmp_path, store).outputs["coredns-1.2.3.tgz"].digest)
    assert content[:4] == b"\x1f\x8b\x08\x00"  # RFC 1952: no flags, so no name
    assert content[4:8] == bytes(4)  # MTIME
    assert len(gzip.decompress(content)) % 512 == 0


def test_the_manifest_is_rke2s_word_for_word(tmp_path: Path, store: Store) -> None:
    receipt = build(tmp_path, store)
    archive = store.read(receipt.outputs["coredns-1.2.3.tgz"].digest)
    text = store.read(receipt.outputs["rke2-dns.yaml"].digest).decode()
    assert text == WANT.replace("CONTENT", base64.b64encode(archive).decode())
    assert yaml.safe_load(text)["spec"]["takeOwnership"] is False


def test_the_two_switches_reach_the_manifest(tmp_path: Path, store: Store) -> None:
    receipt = build(tmp_path, store, replace(CHART, bootstrap=False, take_ownership=True))
    spec = yaml.safe_load(store.read(receipt.outputs["rke2-dns.yaml"].digest))["spec"]
    assert (spec["bootstrap"], spec["takeOwnership"]) == (False, True)


def test_place_times_and_modes_of_the_folder_do_not_count(tmp_path: Path, store: Store) -> None:
    first = build(tmp_path / "a", store)
    folder = write_tree(tmp_path / "b/charts/dns", dict(reversed(FILES.items())))
    for path in folder.rglob("*.yaml"):
        path.chmod(0o600)
        os.utime(path, (1, 1))
    assert build(tmp_path / "b", store) == first


def test_a_chart_that_changed_since_the_lock_is_refused(tmp_path: Path, store: Store) -> None:
    write_tree(tmp_path / "charts/dns", FILES)
    locked = LockedChart(name="coredns", version="1.2.3", digest=Digest.of(b"other"))
    with pytest.raises(StepError, match="changed since it was locked"):
        run_job(chart.describe(CHART, locked, EPOCH), a_recipe(tmp_path), store)


def test_a_folder_without_chart_yaml_is_no_chart(tmp_path: Path, store: Store) -> None:
    folder = write_tree(tmp_path / "charts/dns", {"values.yaml": "{}\n"})
    locked = LockedChart(name="coredns", version="1.2.3", digest=folder_digest(folder))
    with pytest.raises(StepError, match=r"no Chart\.yaml"):
        run_job(chart.describe(CHART, locked, EPOCH), a_recipe(tmp_path), store)


def test_the_content_id_changes_with_everything_in_the_manifest() -> None:
    locked = LockedChart(name="coredns", version="1.2.3", digest=Digest.of(b""))
    steps = [
        chart.describe(CHART, locked, EPOCH),
        chart.describe(CHART, locked, EPOCH + 1),
        chart.describe(replace(CHART, bootstrap=False), locked, EPOCH),
        chart.describe(replace(CHART, take_ownership=True), locked, EPOCH),
        chart.describe(replace(CHART, name="other"), locked, EPOCH),
        chart.describe(CHART, replace(locked, version="1.2.4"), EPOCH),
        chart.describe(CHART, replace(locked, digest=Digest.of(b"x")), EPOCH),
    ]
    assert len({content_id(job.step, {}) for job in steps}) == len(steps)
