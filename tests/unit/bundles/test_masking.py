"""Credentials in what people wrote and strangers said are not in what we show."""

import json

import pytest

from builder.cli import run as sealift
from bundles.errors import FormatError, Problem, ProblemsError, SealiftError
from bundles.masking import masked, secret_parameter
from bundles.registry import url as urls
from bundles.registry.mirrors import parse_mirrors
from bundles.registry.place import parse_place
from bundles.talk import error_json, error_text, error_trace
from runtime.cli import run as sealift_node
from runtime.nodeconf.read import parse_text

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    "text",
    [
        "https://user:s3cr3t@host/x",
        "https://s3cr3t@host/x",
        "https://:s3cr3t@host/x",
        "https://user:s3cr3t/more@host/x",
        "https://user:s3cr3t:s3cr3t@host:8443/x",
        "via 'http://user:s3cr3t@[::1]:3128' and http://b:s3cr3t@c",
        "user:s3cr3t@registry.site:5000/x:v1",
        "docker.io=user:s3cr3t@mirror.site/hub",
        "https://s3/x?X-Amz-Date=1&X-Amz-Credential=s3cr3t&X-Amz-Security-Token=s3cr3t&X-Amz-Signature=s3cr3t",
        "https://blob/x?se=2026&sig=s3cr3t",
        "https://git/x?private_token=s3cr3t#f",
        "https://x/y?access_token=s3cr3t&password=s3cr3t&api_key=s3cr3t",
        "sent Authorization: Basic s3cr3ts3cr3ts3cr3t",
    ],
)
def test_what_opens_a_door_is_not_shown(text: str) -> None:
    assert SECRET in text and SECRET not in masked(text)
    assert masked(masked(text)) == masked(text)


@pytest.mark.parametrize(
    "text",
    [
        "registry.site:5000/a/b:v1@sha256:" + 64 * "0",
        "pause:3.10@sha256:" + 64 * "0",
        "https://proxy.site:8080/k8s.io/api/@v/list",
        "https://proxy.site/k8s.io/api/@v/v1.2.3.zip?x=1",
        "go-source:k8s.io/kubernetes@v1.34.4",
        "components.yaml:2:notes.url: want MODULE@VERSION or ./folder, got 'a@b'",
        "lock.yaml:7: deb-source:socat=1.7.4.4-2",
        "see https://example.org/x?author=me&version=2",
        'want: Bearer realm="https://auth.site/token"',
        "basic authentication is not enough",
    ],
)
def test_what_only_looks_like_it_stays(text: str) -> None:
    assert masked(text) == text


def test_no_form_of_an_error_has_it() -> None:
    text = f"https://user:{SECRET}@host/x"
    problems = ProblemsError("recipe", [Problem(where="a:1", message=f"got {text!r}", hint=f"not {text}")])
    try:
        raise SealiftError(text, where=text, got=text, want=text, hint=text) from ValueError(text)
    except SealiftError as exc:
        error = exc
    for one in (error, problems, RuntimeError(text)):
        assert SECRET not in error_text(one) + json.dumps(error_json(one)) + error_trace(one)
    assert "ValueError" in error_trace(error) and "***@host/x" in error_trace(error)


@pytest.mark.parametrize(
    "location",
    [
        f"https://user:{SECRET}@b/x",
        f"https://user:{SECRET}/{SECRET}@b/x",
        f"https://b/x?X-Amz-Signature={SECRET} ",
        f"https://b:{SECRET}/x?sig={SECRET}",
        f"https://[b/x?sig={SECRET}",
        f"ftp://user:{SECRET}@b/x?token={SECRET}",
    ],
)
def test_a_redirect_that_is_refused_is_told_without_its_signature(location: str) -> None:
    with pytest.raises(FormatError) as caught:
        urls.follow("https://a/v2/", location, where="r")
    assert f"{SECRET}@" not in error_trace(caught.value) and f"={SECRET}" not in error_trace(caught.value)


@pytest.mark.parametrize("place", [f"user:{SECRET}@registry.site/x:v1", f"https://user:{SECRET}@registry.site/x:v1"])
def test_a_place_with_a_password_is_refused_without_it(place: str) -> None:
    for wrong in (lambda: parse_place(place), lambda: parse_mirrors([f"docker.io={place}"])):
        with pytest.raises(SealiftError) as caught:
            wrong()
        assert SECRET not in error_trace(caught.value)


def test_both_commands_show_none_whatever_the_way_out(capsys: pytest.CaptureFixture[str]) -> None:
    place = f"https://user:{SECRET}@registry.site/x:v1"
    for run, words in (
        (sealift, ["pull", place, "--output", "/nowhere", "--debug", "--json"]),
        (sealift, ["pull", "registry.site/x:v1", place]),
        (sealift, ["push", "/nowhere", "registry.site/x", "--limit-rate", place]),
        (sealift, ["lock", "/nowhere", "--mirror", f"docker.io={place}", "--debug"]),
        (sealift_node, ["pull", "--from", place, "--insecure-no-signature", "--debug", "--json"]),
        (sealift_node, ["pull", "--server", place, "--token-file", "/nowhere", "--debug", "--json"]),
        (sealift_node, ["extract", place]),
    ):
        assert run(words) != 0
        said = capsys.readouterr()
        assert SECRET not in said.out + said.err, words
        assert ("Traceback" in said.err) == ("--debug" in words)


def test_a_configuration_that_is_no_yaml_is_told_without_its_line() -> None:
    with pytest.raises(SealiftError) as caught:
        parse_text(f"token: {SECRET}: x\n", "config.yaml", [])
    assert SECRET not in error_trace(caught.value) and "line 1" in str(caught.value)


def test_parameters_that_sign_are_known_by_name() -> None:
    assert secret_parameter("https://a/b?v=1&X-Amz-Signature=x") == "X-Amz-Signature"
    assert secret_parameter("https://a/b?version=1&file=key") == ""
