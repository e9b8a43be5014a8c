"""registries.yaml of nodes: what our client and containerd make of it."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from bundles.errors import ProblemsError
from bundles.registry.mirrors import registries_yaml
from bundles.registry.place import Repository
from bundles.registry.registriesread import read_registries
from bundles.registry.registriesyaml import Rewrite

HUB = Repository(host="docker.io", path="rancher/x")


def test_registries_yaml_is_read_as_rke2_reads_it() -> None:
    document = {
        "mirrors": {
            "docker.io": {
                "endpoint": [
                    "https://m.site:5000/v2",
                    "http://n.site/base",
                    "https://o.site/v2/hub/",
                    "localhost:5000",
                ],
                "rewrite": {"^rancher/(.*)": "prime/$1", "^never": "x"},
            }
        },
        "configs": {"m.site:5000": {"auth": {"username": "u", "password": "p"}}},
    }
    found = read_registries(document, where="registries.yaml")
    assert [one.url("t") for one in found.ways().to_pull(HUB)] == [
        "https://m.site:5000/v2/prime/x/t",
        "http://n.site/base/prime/x/t",
        "https://o.site/v2/hub/prime/x/t",
        "http://localhost:5000/v2/prime/x/t",
        "https://registry-1.docker.io/v2/rancher/x/t",
    ]
    third = found.ways().to_pull(HUB)[2]
    assert (third.root, third.path) == ("/v2", "hub/prime/x")  # so that a token is asked for the right repository
    credentials = found.keys(Repository(host="m.site:5000", path="any"))
    assert credentials is not None and (credentials.user, credentials.password) == ("u", "p")
    assert found.keys(HUB) is None
    empty = read_registries(None, where="r")
    assert empty.ways().to_pull(HUB)[0].origin == "https://registry-1.docker.io"


@pytest.mark.parametrize(
    ("pattern", "replacement", "path"),
    [
        ("^(.*)$", "hub/$1", "hub/rancher/x"),
        ("^rancher/(.*)", "r-$1-z", "r-x-z"),
        ("(?P<a>rancher)/", "${a}s/", "ranchers/x"),
        ("(?<a>rancher)/", "$a/", "rancher/x"),
        ("^rancher", "$1x$$", "$/x"),  # `$1x` is the group called 1x, which there is not
        ("x", r"\1", r"rancher/\1"),
    ],
)
def test_a_rewrite_is_go_s_and_not_python_s(pattern: str, replacement: str, path: str) -> None:
    entry = {"mirrors": {"docker.io": {"endpoint": ["https://m.site"], "rewrite": {pattern: replacement}}}}
    assert read_registries(entry, where="r").ways().to_pull(HUB)[0].path == path


def test_docker_hub_s_credentials_count_under_all_its_names() -> None:
    for name in ("docker.io", "index.docker.io", "registry-1.docker.io"):
        found = read_registries({"configs": {name: {"auth": {"auth": "dTpw"}, "tls": {"ca_file": "/ca"}}}}, where="r")
        assert found.keys(HUB) == found.keys(Repository(host="registry-1.docker.io", path="a"))
        assert found.tls()["registry-1.docker.io"].ca_file == Path("/ca")


def test_what_any_host_s_tls_is_counts_where_there_is_no_other() -> None:
    document = {
        "mirrors": {"*": {"endpoint": ["https://a.site"]}},
        "configs": {"*": {"tls": {"insecure_skip_verify": "true"}}, "b.site": {"tls": {"insecure_skip_verify": False}}},
    }
    found = read_registries(document, where="r").tls()
    assert (found["a.site"].verify, found["b.site"].verify) == (False, True)


def test_a_registry_on_this_machine_speaks_tls_once_something_is_said_of_its_certificate() -> None:
    here = Repository(host="127.0.0.1:5000", path="a")
    for tls, origin in (({}, "http"), ({"ca_file": "/ca"}, "https"), ({"insecure_skip_verify": True}, "https")):
        found = read_registries({"configs": {"127.0.0.1:5000": {"tls": tls}}}, where="r")
        assert found.ways().to_pull(here)[0].origin == f"{origin}://127.0.0.1:5000"


def test_all_that_is_wrong_in_registries_yaml_is_said_at_once_and_without_a_password() -> None:
    document = {
        "mirrors": {"a.io": {"endpoint": ["ftp://x", 5], "rewrite": {"(": "x"}}, "b.io": "x", "https://c.io": {}},
        "configs": {
            "d.io": {"auth": {"password": "s3cr3t"}, "tls": {"cert_file": "/c", "ca_file": "relative"}, "other": 1},
            "e.io": {"auth": {"auth": "czNjcjN0"}},
            "f.io": {"auth": {"auth": "s3cr3t\xe4"}},
            "*": {"auth": {"username": "u", "password": "s3cr3t"}},
        },
        "mirors": {},
    }
    with pytest.raises(ProblemsError) as caught:
        read_registries(document, where="registries.yaml")
    assert len(caught.value.problems) == 13
    assert "s3cr3t" not in str(caught.value) and "czNjcjN0" not in str(caught.value)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["mirrors", "configs", "endpoint", "rewrite", "auth", "tls", "a.io"]), inner)
    ),
)


@given(json_values)
def test_any_document_is_read_or_refused(document: Any) -> None:
    try:
        read_registries(document, where="r").ways().to_pull(HUB)
    except ProblemsError as exc:
        assert exc.problems


@given(st.text(alphabet="$1a{}\\x", max_size=8))
def test_any_replacement_is_some_text(replacement: str) -> None:
    pattern, replace = Rewrite(pattern="(a)(?P<x1>b)", replacement=replacement).compiled()
    assert re.sub(pattern, replace, "ab") == pattern.sub(replace, "ab")


def test_what_is_printed_for_nodes_finds_the_images_where_they_were_put() -> None:
    text = registries_yaml("site:5000", "hub/x", ["docker.io"], plain=True)
    found = read_registries(yaml.safe_load(text), where="r")
    assert found.ways().to_pull(HUB)[0].url("t") == "http://site:5000/v2/hub/x/rancher/x/t"
