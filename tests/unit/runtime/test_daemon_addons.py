import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bundles.errors import FormatError, LimitError
from runtime.daemon.addons import ObjectKey, chart_values, eligible, injected, is_disabled, objects_in
from runtime.nodeconf.model import NodeConfig
from tests.support.daemons import make_test_node

CHART = b"""\
apiVersion: helm.cattle.io/v1
kind: HelmChart
metadata:
  name: "rke2-small"
  namespace: "kube-system"
  annotations:
    rke2.cattle.io/inject-cluster-config: "true"
spec:
  bootstrap: true
  set: {mine: kept, global.clusterDomain: old.local}
  chartContent: SDRzSUFBQUFBQUFBQQ==
"""
PLAIN = b"""\
# a comment
apiVersion: v1
kind: ConfigMap
metadata: {name: one, namespace: kube-system}
data: {answer: "on", day: "2001-01-01"}
---
---
apiVersion: v1
kind: List
items:
- {apiVersion: apps/v1, kind: Deployment, metadata: {name: two, namespace: default}}
- {apiVersion: v1, kind: Namespace, metadata: {name: three}}
"""


@pytest.fixture
def config(tmp_path_factory: pytest.TempPathFactory) -> NodeConfig:
    folder = tmp_path_factory.mktemp("node")
    return make_test_node(folder / "rke2", folder / "bin").config


def test_objects_of_all_documents_and_lists_are_found() -> None:
    assert objects_in(PLAIN, "plain.yaml") == (
        ObjectKey(api_version="v1", kind="ConfigMap", namespace="kube-system", name="one"),
        ObjectKey(api_version="apps/v1", kind="Deployment", namespace="default", name="two"),
        ObjectKey(api_version="v1", kind="Namespace", namespace="", name="three"),
    )
    assert objects_in(PLAIN, "")[1].group == "apps" and objects_in(PLAIN, "")[0].group == ""


@pytest.mark.parametrize("text", [b"", b"# rke2-small has been removed\n", b"---\n---\n"])
def test_a_file_of_comments_holds_nothing(text: bytes) -> None:
    assert objects_in(text, "") == ()


@pytest.mark.parametrize(
    "text",
    [
        b"a: [",
        b"just words",
        b"- a\n- b\n",
        b"kind: X\napiVersion: v1\n",
        b"kind: X\nmetadata: {name: a}\n",
        b"\x80abc",
    ],
)
def test_what_no_cluster_could_take_is_named(text: bytes) -> None:
    with pytest.raises(FormatError, match=r"bad\.yaml"):
        objects_in(text, "bad.yaml")


def test_names_that_look_like_numbers_stay_text() -> None:
    text = b"{apiVersion: v1, kind: Secret, metadata: {name: 1e3, namespace: 0644}}"
    assert objects_in(text, "") == (ObjectKey(api_version="v1", kind="Secret", namespace="0644", name="1e3"),)


def test_files_that_count_are_manifests_that_nobody_skips() -> None:
    paths = ["b.yaml", "a.yml", "c.JSON", ".hidden.yaml", "notes.txt", "deep/b.yaml", "d.yaml", "other/d.yaml.skip"]
    assert eligible(paths) == ("a.yml", "b.yaml", "c.JSON", "deep/b.yaml")


def test_disable_names_a_file_or_a_folder() -> None:
    assert is_disabled("rke2-coredns.yaml", {"rke2-coredns"})
    assert is_disabled("extras/x.yaml", {"extras"})
    assert not is_disabled("rke2-coredns.yaml", {"coredns", "rke2-coredns.yaml"})


def test_values_go_into_charts_that_want_them_and_what_else_is_set_stays(config: NodeConfig) -> None:
    changed = yaml.safe_load(injected(CHART, chart_values(config, "traefik"), ""))
    assert changed["spec"]["set"] == {"mine": "kept", **chart_values(config, "traefik")}
    assert changed["spec"]["set"]["global.clusterDomain"] == "cluster.local"
    assert changed["spec"]["set"]["global.clusterDNS"] == "10.43.0.10"
    assert changed["spec"]["set"]["global.clusterCIDRv6"] == ""
    assert changed["spec"]["chartContent"] == "SDRzSUFBQUFBQUFBQQ==" and changed["spec"]["bootstrap"] is True
    again = injected(injected(CHART, chart_values(config, "traefik"), ""), chart_values(config, "traefik"), "")
    assert yaml.safe_load(again) == changed


def test_charts_of_users_get_values_only_when_asked(config: NodeConfig) -> None:
    user = CHART.replace(b'    rke2.cattle.io/inject-cluster-config: "true"\n', b'    other: "x"\n')
    assert injected(user, chart_values(config, "traefik"), "") == user
    assert injected(user, chart_values(config, "traefik"), "", by_default=True) != user
    refuses = CHART.replace(b'config: "true"', b'config: "false"')
    assert injected(refuses, chart_values(config, "traefik"), "", by_default=True) == refuses


def test_other_files_stay_as_they_are_byte_for_byte(config: NodeConfig) -> None:
    assert injected(PLAIN, chart_values(config, "traefik"), "") is PLAIN


def test_what_stands_beside_a_chart_reads_as_kubernetes_reads_it(config: NodeConfig) -> None:
    beside = (
        b"---\n{apiVersion: v1, kind: X, metadata: {name: x},"
        b" data: {a: 22:22, b: 2001-01-01, c: 0644, d: 1e3, e: 1.2.3}}\n"
    )
    text = injected(CHART + beside, chart_values(config, "traefik"), "")
    data = json.loads(text.splitlines()[1])["data"]
    assert data == {"a": "22:22", "b": "2001-01-01", "c": 0o644, "d": 1000.0, "e": "1.2.3"}


@given(st.dictionaries(st.text("abc.", min_size=1), st.text(max_size=8)), st.text("xyz ,:#'\"{}\n", max_size=30))
def test_any_values_survive(values: dict[str, str], old: str) -> None:
    document = {
        "apiVersion": "helm.cattle.io/v1",
        "kind": "HelmChart",
        "metadata": {"name": "x", "annotations": {"rke2.cattle.io/inject-cluster-config": "true"}},
        "spec": {"valuesContent": old},
    }
    text = injected(json.dumps(document).encode(), values, "")
    spec = json.loads(text)["spec"]
    assert spec["valuesContent"] == old and spec.get("set", {}) == values


CHART_WITH = (
    b"apiVersion: helm.cattle.io/v1\nkind: HelmChart\n"
    b"metadata: {name: x, annotations: {rke2.cattle.io/inject-cluster-config: 'true'}}\n"
)


@pytest.mark.parametrize("text", [b"[" * 200_000, b"a: " + b"[" * 200_000, b"- " * 200_000 + b"x\n"])
def test_a_manifest_nested_without_end_is_refused_and_does_not_end_the_daemon(text: bytes) -> None:
    with pytest.raises(LimitError, match="deep"):
        objects_in(text, "deep.yaml")


def test_aliases_that_stand_for_billions_of_values_are_refused() -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))
    with pytest.raises(LimitError, match="too much"):
        injected(CHART_WITH + b"spec: {}\n" + bomb.encode(), {"a": "b"}, "bomb.yaml")


@pytest.mark.parametrize(
    "rest",
    [
        b"spec: &s {inner: *s}\n",
        b"spec: 5\n",
        b"spec: {set: [1]}\n",
        b"spec: {value: !!binary aGVsbG8=}\n",
        b"spec: {value: !!timestamp 2001-01-01}\n",
        b"spec: {value: !!set {a, b}}\n",
        b"spec: {value: 1e999}\n",
        b"spec: {[1]: 2}\n",
    ],
)
def test_a_chart_that_no_cluster_takes_is_refused_by_its_name(rest: bytes) -> None:
    with pytest.raises(FormatError, match=r"^odd\.yaml"):
        injected(CHART_WITH + rest, {"a": "b"}, "odd.yaml")


@pytest.mark.parametrize("metadata", [b"[1]", b"{annotations: 5}", b"x"])
def test_a_chart_with_odd_metadata_is_refused(metadata: bytes) -> None:
    with pytest.raises(FormatError, match="HelmChart"):
        injected(b"apiVersion: helm.cattle.io/v1\nkind: HelmChart\nmetadata: " + metadata, {"a": "b"}, "odd.yaml")
