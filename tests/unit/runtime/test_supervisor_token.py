"""Join tokens: what k3s accepts is accepted, what is no token is named without telling the secret."""

import pytest

from bundles.errors import FormatError, TrustError
from runtime.entropy import SystemEntropy
from runtime.pki.certificates import certificate_pem, make_authority
from runtime.pki.plan import SERVER_CA
from runtime.supervisor import token
from tests.support.supervisors import NOW, SERIAL

HASH = "ab" * 32


def authority() -> bytes:
    return certificate_pem(make_authority(SERVER_CA, SystemEntropy().signing_key(), now=NOW, serial=SERIAL))


@pytest.mark.parametrize(
    ("text", "user", "secret", "pinned"),
    [
        (f"K10{HASH}::server:s3cret", "server", "s3cret", HASH),
        (f"K10{HASH}::node:a:b:c", "node", "a:b:c", HASH),
        ("K10::server:s3cret", "server", "s3cret", None),
        ("s3cret", "node", "s3cret", None),
        (f"  K10{HASH}::server:s3cret\n", "server", "s3cret", HASH),
        (f"K10{HASH}::abcdef.0123456789abcdef", "", "abcdef.0123456789abcdef", HASH),
    ],
)
def test_a_token_is_read_as_k3s_reads_it(text: str, user: str, secret: str, pinned: str | None) -> None:
    found = token.parse(text, default_user="node")
    assert (found.user, found.secret, found.authority) == (user, secret, pinned)


@pytest.mark.parametrize(
    "text",
    ["", " ", "K10", "K10abc::server:s3cret", f"K10{HASH}:server:s3cret", f"K10{HASH}::",
     f"K10{HASH.upper()}::a:s3cret", "s3cret with blanks", "a::s3cret", "x" * 5000],
)  # fmt: skip
def test_what_is_no_token_is_refused_without_telling_the_secret(text: str) -> None:
    with pytest.raises(FormatError) as caught:
        token.parse(text, default_user="node")
    assert "s3cret" not in str(caught.value)


def test_a_token_does_not_show_its_secret() -> None:
    assert "s3cret" not in repr(token.parse("s3cret", default_user="node"))


def test_a_token_reads_back_as_written() -> None:
    text = f"K10{HASH}::server:s3cret"
    assert token.parse(text, default_user="x").text == text


def test_a_token_pins_the_authority() -> None:
    pem = authority()
    good = token.JoinToken(authority=token.authority_hash(pem), user="node", secret="s")
    token.check_authority(good, pem, where="https://s:9345")
    with pytest.raises(TrustError, match="another authority"):
        token.check_authority(good, authority(), where="https://s:9345")


def test_one_certificate_is_hashed_as_the_file_stands() -> None:
    """k3s hashes the raw bytes, so a newline more is another hash: what /cacerts sends must be the file."""
    pem = authority()
    assert token.authority_hash(pem) != token.authority_hash(pem + b"\n")


def test_of_a_chain_the_root_is_hashed() -> None:
    root, first, second = authority(), authority(), authority()
    assert token.authority_hash(first + root) == token.authority_hash(second + root)
    assert token.authority_hash(root) != token.authority_hash(first + root)


def test_a_bare_secret_pins_nothing() -> None:
    token.check_authority(token.parse("secret", default_user="node"), authority(), where="x")


def test_something_else_than_an_authority_is_named() -> None:
    with pytest.raises(FormatError, match="not the authority"):
        token.authority_hash(b"<html>")
