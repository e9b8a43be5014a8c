"""Keys and key files: what is taken, and that everything else is refused by its name."""

import os
import subprocess
from pathlib import Path

import pytest

from bundles.errors import FormatError, LimitError
from bundles.signing import secretbox
from bundles.signing.der import P256_ORDER, EcdsaSignature, parse_ecdsa
from bundles.signing.keyfile import LABEL, read_private_key, write_private_key
from bundles.signing.keys import ALGORITHMS, Algorithm, generate, read_public_key
from bundles.signing.pem import MAX_PEM, read_blocks, write_block


def openssl(*words: str | Path) -> bytes:
    return subprocess.run(["openssl", *words], check=True, capture_output=True).stdout


def no_passphrase() -> bytes:
    raise AssertionError("a plain key needs no passphrase")


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_file_holds_its_key_under_its_passphrase(algorithm: Algorithm) -> None:
    key = generate(algorithm)
    data = write_private_key(key, b"pw", random=os.urandom)
    assert data.startswith(b"-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----\n")
    assert read_private_key(data, lambda: b"pw", where="k").pkcs8() == key.pkcs8()
    with pytest.raises(FormatError, match="wrong passphrase"):
        read_private_key(data, lambda: b"", where="k")
    old = data.replace(LABEL.encode(), b"ENCRYPTED COSIGN PRIVATE KEY")
    assert read_private_key(old, lambda: b"pw", where="k").public == key.public


def test_the_secretbox_is_nacls() -> None:
    """The vector of NaCl's own tests/secretbox.c, also libsodium's test/default/secretbox.c."""
    key = bytes.fromhex("1b27556473e985d462cd51197a9a46c76009549eac6474f206c4ee0844f68389")
    nonce = bytes.fromhex("69696ee955b62b73cd62bda875fc73d68219e0036b7a0b37")
    plain = bytes.fromhex(
        "be075fc53c81f2d5cf141316ebeb0c7b5228c52a4c62cbd44b66849b64244ffce5ecbaaf33bd751a1ac728d45e6c61296cdc3c01233561f4"
        "1db66cce314adb310e3be8250c46f06dceea3a7fa1348057e2f6556ad6b1318a024a838f21af1fde048977eb48f59ffd4924ca1c60902e52"
        "f0a089bc76897040e082f937763848645e0705"
    )
    box = secretbox.seal(plain, key, nonce)
    assert box[:32].hex() == "f3ffc7703f9400e52a7dfb4b3d3305d98e993b9f48681273c29650ba32fc76ce"
    assert secretbox.unseal(box, key, nonce) == plain
    for at in range(len(box)):
        with pytest.raises(FormatError):
            secretbox.unseal(box[:at] + bytes([box[at] ^ 1]) + box[at + 1 :], key, nonce)


def test_the_same_message_gives_the_same_signature() -> None:
    for algorithm in ALGORITHMS:
        key = generate(algorithm)
        assert key.sign(b"message") == key.sign(b"message") != key.sign(b"other")


def test_rfc_6979_is_what_makes_it_so(tmp_path: Path) -> None:
    """A.2.5 of the RFC: P-256, SHA-256, message "sample"; its s is the high one, ours is n - s."""
    x = "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721"
    sec1 = bytes.fromhex("30310201010420" + x + "a00a06082a8648ce3d030107")
    key = read_private_key(write_block("EC PRIVATE KEY", sec1), no_passphrase, where="rfc")
    r = "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
    s = "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"
    assert parse_ecdsa(key.sign(b"sample"), where="rfc") == EcdsaSignature(int(r, 16), P256_ORDER - int(s, 16))


@pytest.mark.parametrize("form", ["pkcs8", "sec1 with its parameters", "ed25519", "pkcs8 encrypted"])
def test_plain_keys_of_openssl_are_read(tmp_path: Path, form: str) -> None:
    path = tmp_path / "k.pem"
    match form:
        case "pkcs8":
            path.write_bytes(openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"))
        case "ed25519":
            path.write_bytes(openssl("genpkey", "-algorithm", "ed25519"))
        case "pkcs8 encrypted":
            words = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-aes-256-cbc", "-pass", "pass:pw"]
            path.write_bytes(openssl("genpkey", *words))
        case _:
            path.write_bytes(openssl("ecparam", "-name", "prime256v1", "-genkey"))
            assert b"EC PARAMETERS" in path.read_bytes()
    key = read_private_key(path.read_bytes(), lambda: b"pw", where=path)
    public = openssl("pkey", "-in", path, "-pubout", "-passin", "pass:pw")
    assert read_public_key(public, where="pub") == key.public


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["genrsa", "2048"], "RSA with 2048 bits"),
        (["ecparam", "-name", "secp384r1", "-genkey", "-noout"], "secp384r1"),
        (["ecparam", "-name", "secp256k1", "-genkey", "-noout"], "secp256k1"),
        (["ecparam", "-name", "prime192v1", "-genkey", "-noout"], "secp192r1"),
        (["genpkey", "-algorithm", "ed448"], "Ed448"),
        (["genpkey", "-algorithm", "x25519"], "X25519"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_key_of_another_kind_or_curve_is_refused_by_its_name(tmp_path: Path, words: list[str], said: str) -> None:
    path = tmp_path / "k.pem"
    path.write_bytes(openssl(*words))
    with pytest.raises(FormatError) as caught:
        read_private_key(path.read_bytes(), no_passphrase, where=path)
    assert said in caught.value.got
    with pytest.raises(FormatError) as caught:
        read_public_key(openssl("pkey", "-in", path, "-pubout"), where="pub")
    assert said in caught.value.got and "ECDSA P-256 or Ed25519" in str(caught.value)


@pytest.mark.parametrize("form", ["compressed", "explicit"])
def test_another_spelling_of_a_public_key_would_be_another_id_and_is_refused(tmp_path: Path, form: str) -> None:
    path = tmp_path / "k.pem"
    path.write_bytes(openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout"))
    option = ["-conv_form", "compressed"] if form == "compressed" else ["-param_enc", "explicit"]
    with pytest.raises(FormatError, match=r"unusual encoding|can be read"):
        read_public_key(openssl("ec", "-in", path, "-pubout", *option), where="pub")


def test_a_point_off_the_curve_is_no_key() -> None:
    spki = bytearray(generate("ecdsa-p256").public.spki)
    spki[-1] ^= 1
    with pytest.raises(FormatError, match="can be read"):
        read_public_key(write_block("PUBLIC KEY", bytes(spki)), where="pub")


SMALL_ORDER = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
]


@pytest.mark.parametrize("raw", SMALL_ORDER)
def test_an_ed25519_key_that_anybody_can_sign_with_is_refused(raw: str) -> None:
    spki = bytes.fromhex("302a300506032b6570032100" + raw)
    with pytest.raises(FormatError, match="anybody"):
        read_public_key(write_block("PUBLIC KEY", spki), where="pub")


def test_the_halves_are_not_taken_for_each_other() -> None:
    key = generate("ecdsa-p256")
    with pytest.raises(FormatError, match=r"give the \.key file"):
        read_private_key(key.public.pem, no_passphrase, where="k")
    with pytest.raises(FormatError, match=r"give the \.pub file"):
        read_public_key(write_private_key(key, b"", random=os.urandom), where="k")


def pem_text(**changes: str) -> bytes:
    parts = {"begin": "PUBLIC KEY", "body": "AAAA", "end": "PUBLIC KEY", "before": "", "after": ""} | changes
    text = "{before}-----BEGIN {begin}-----\n{body}\n-----END {end}-----\n{after}"
    return text.format(**parts).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xfe",
        pem_text(before="Subject: x\n"),
        pem_text(after="more"),
        pem_text(end="PRIVATE KEY"),
        pem_text(body="AAA"),
        pem_text(body="AAB="),
        pem_text(body="Proc-Type: 4,ENCRYPTED\n\nAAAA"),
        pem_text(body="----"),
    ],
)
def test_what_is_not_exactly_pem_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        read_blocks(data, where="k")


def test_a_huge_key_file_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(LimitError):
        read_public_key(b"-" * (MAX_PEM + 1), where="k")


@pytest.mark.parametrize("field", ['"N":65536', '"r":8', '"p":1', "nacl/secretbox", '"scrypt"'])
def test_a_key_file_does_not_choose_its_readers_memory(field: str) -> None:
    text = write_private_key(generate("ecdsa-p256"), b"pw", random=os.urandom)
    body = read_blocks(text, where="k")[0].data.decode()
    assert field in body
    other = field.replace("65536", "1073741824").replace("8", "80").replace('"p":1', '"p":9').replace("s", "z")
    with pytest.raises(FormatError):
        read_private_key(write_block(LABEL, body.replace(field, other).encode()), lambda: b"pw", where="k")


def test_a_private_key_does_not_show_itself() -> None:
    key = generate("ecdsa-p256")
    assert "PRIVATE" not in repr(key) and key.pkcs8().hex() not in repr(key) and "_key" not in repr(key)
