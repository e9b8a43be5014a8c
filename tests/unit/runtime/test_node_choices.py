"""Choices of a node: what runs, what is left out, and what a bundle does not have."""

from pathlib import Path

import msgspec
import pytest

from bundles import choices, consistency
from bundles.digest import Digest
from bundles.errors import FormatError, ProblemsError
from bundles.index import Archive, BundleIndex, Chart, Choice, Image, Runtime, Sha256
from runtime.choices import Chosen, decide
from runtime.daemon.actions.cluster import with_choice
from runtime.daemon.addons import chart_values
from runtime.daemon.journal import new_journal
from runtime.daemon.status import Status, as_document, as_tree
from runtime.prove.choosing import chosen_by, read_choices, told
from tests.support.nodes import node_config

DIGEST = Digest.of(b"")
RUNTIME = "docker.io/rancher/rke2-runtime:v1"
KEY = "v1-" + Digest.of(b"rancher/rke2-runtime:v1").hex[:12]


def archive(name: str, *images: str) -> Archive:
    return Archive(path=f"images/{name}.linux-amd64.tar", size=1, sha256=DIGEST, images=list(images), blobs=[])


def choice(key: str, name: str, *more: str) -> Choice:
    archives = [f"images/rke2-images-{each}.linux-amd64.tar" for each in (name, *more)]
    return Choice(key=key, name=name, archives=archives, charts=[f"rke2-{name}"])


OFFERED = [
    choice("cni", "flannel"),
    choice("cni", "canal", "flannel"),
    choice("ingress-controller", "traefik"),
    choice("ingress-controller", "ingress-nginx"),
]


def index_with(offered: list[Choice] | None) -> BundleIndex:
    names = ("flannel", "canal", "traefik", "ingress-nginx")
    return BundleIndex(
        format="1.0",
        name="rke2",
        version="v1",
        flavour="classic",
        sequence=1,
        created=0,
        platform="linux/amd64",
        lock=Sha256(sha256=DIGEST),
        runtime=Runtime(reference=RUNTIME, digest=DIGEST, key=KEY),
        archives=[archive("rke2-runtime", RUNTIME), *(archive(f"rke2-images-{name}") for name in names)],
        images=[Image(reference=RUNTIME, digest=DIGEST, archive="images/rke2-runtime.linux-amd64.tar", why="runtime")],
        charts=[Chart(name=f"rke2-{name}", version="1.0.0", sha256=DIGEST) for name in ("coredns", *names)],
        files=[],
        choices=offered,
    )


def test_without_settings_the_bundle_s_first_choices_run(tmp_path: Path) -> None:
    chosen = decide(node_config(tmp_path), index_with(OFFERED))
    assert (chosen.cni, chosen.ingress, chosen.ingress_class) == ("flannel", ("traefik",), "traefik")
    assert chosen.charts == {"rke2-canal", "rke2-ingress-nginx"}
    assert chosen.settings() == {"cni": "flannel", "ingress-controller": "traefik"}


def test_the_first_controller_s_class_is_the_default_one(tmp_path: Path) -> None:
    node = node_config(tmp_path, ("ingress-controller", "ingress-nginx,traefik"))
    chosen = decide(node, index_with(OFFERED))
    assert chart_values(node, chosen.ingress_class)["global.systemDefaultIngressClass"] == "ingress-nginx"
    assert "rke2-traefik" not in chosen.charts


def test_an_archive_that_two_choices_share_is_needed_by_either(tmp_path: Path) -> None:
    canal = decide(node_config(tmp_path, ("cni", "canal")), index_with(OFFERED))
    assert canal.charts >= {"rke2-flannel"}
    assert canal.archives == {"images/rke2-images-ingress-nginx.linux-amd64.tar"}
    none = decide(node_config(tmp_path, ("cni", "none")), index_with(OFFERED))
    assert "images/rke2-images-flannel.linux-amd64.tar" in none.archives


def test_none_leaves_everything_of_it_out_and_no_class_is_the_default(tmp_path: Path) -> None:
    node = node_config(tmp_path, ("ingress-controller", "none"), ("cni", "none"))
    chosen = decide(node, index_with(OFFERED))
    assert chosen.charts == {"rke2-flannel", "rke2-canal", "rke2-traefik", "rke2-ingress-nginx"}
    assert chosen.ingress_class == "" and chosen.settings()["cni"] == "none"


def test_what_the_bundle_lacks_is_told_with_what_it_has_and_what_would_do(tmp_path: Path) -> None:
    node = node_config(tmp_path, ("cni", "cilium"), ("ingress-controller", "ingress-nginx"))
    with pytest.raises(ProblemsError) as caught:
        decide(node, index_with([OFFERED[0], OFFERED[2]]))
    text = str(caught.value)
    assert "cilium is not in the bundle: rke2 v1 has flannel" in text
    assert "ingress-nginx is not in the bundle: rke2 v1 has traefik" in text
    assert "choice cni: cilium" in text and "rke2-v1.34-upstream" in text
    with pytest.raises(ProblemsError, match="no bundle is admitted"):
        decide(node, None)


@pytest.mark.parametrize(
    ("key", "text", "problem"),
    [
        ("cni", "flanel", "did you mean flannel"),
        ("cni", "canal,cilium", "takes one pod network"),
        ("ingress-controller", "none,traefik", "stands alone"),
        ("ingress-controller", "haproxy", "one of none, traefik, ingress-nginx"),
    ],
)
def test_words_that_rke2_does_not_know_are_problems_of_the_configuration(
    tmp_path: Path, key: str, text: str, problem: str
) -> None:
    with pytest.raises(ProblemsError, match=problem):
        node_config(tmp_path, (key, text))


def test_a_bundle_without_a_list_of_choices_is_read_by_rke2_s_names(tmp_path: Path) -> None:
    found = choices.offered(index_with(None))
    assert choices.words(found) == ["cni: canal, flannel", "ingress-controller: traefik, ingress-nginx"]
    assert decide(node_config(tmp_path), msgspec.structs.replace(index_with(None), charts=[])) == Chosen()


@pytest.mark.parametrize(
    "wrong",
    [
        Choice(key="cni", name="flannel", archives=["images/none.tar"], charts=[]),
        Choice(key="cni", name="flannel", archives=[], charts=["rke2-none"]),
        Choice(key="cni", name="x\x1b[2J", archives=[], charts=[]),
        Choice(key="cni", name="flannel", archives=["images/rke2-runtime.linux-amd64.tar"], charts=[]),
    ],
)
def test_an_index_whose_choices_are_not_its_own_parts_is_refused(wrong: Choice) -> None:
    consistency.check_index(index_with(OFFERED), where="x")
    with pytest.raises(FormatError):
        consistency.check_index(index_with([wrong]), where="x")
    with pytest.raises(FormatError, match="twice"):
        consistency.check_index(index_with([OFFERED[0], OFFERED[0]]), where="x")


def test_a_proof_takes_choices_as_a_server_does_and_says_when_nobody_serves_ingresses() -> None:
    wanted = read_choices(["cni=canal", "ingress-controller=none"])
    chosen = chosen_by(wanted, index_with(OFFERED))
    assert list(told(chosen))[-1].startswith("no ingress controller") and chosen.cni == "canal"
    for wrong in ("cni", "colour=red", "cni=none"):
        with pytest.raises(Exception, match=r"choice|Ready"):
            read_choices([wrong])


def test_status_shows_what_was_chosen_and_why_a_node_without_a_pod_network_is_not_ready() -> None:
    journal = new_journal(pid=1, version="1", bundle="b", role="server", node="n1", began=0, stages=[])
    journal = msgspec.structs.replace(journal, choices=Chosen(cni="none", ingress=("traefik",)).settings())
    status = Status(data="/d", pid=1, bundle="b", journal=journal)
    assert "cni: none; ingress-controller: traefik" in as_tree(status)
    assert as_document(status)["choices"] == {"cni": "none", "ingress-controller": "traefik"}
    assert with_choice("cni plugin not initialized", Chosen(cni="none")).endswith("a pod network of the site's own")
    assert with_choice("", Chosen(cni="none")) == "" and with_choice("x", Chosen(cni="flannel")) == "x"
