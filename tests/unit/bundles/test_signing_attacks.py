"""Attacks on signatures by name: each is refused with TrustError (exit 3), before the index is parsed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bundles.digest import Digest
from bundles.errors import FormatError, LimitError, SealiftError, TrustError
from bundles.signing import blob, dsse, envelope, names, statement
from bundles.signing.base64text import decode_base64, encode_base64
from bundles.signing.der import P256_ORDER, parse_ecdsa
from bundles.signing.keys import ALGORITHMS, PrivateKey, generate
from bundles.signing.signed import holding
from bundles.signing.slot import choose_slot
from bundles.trust import Trust
from bundles.verify import verify_bundle
from tests.support.bundles import make_bundle

ENVELOPE, CLASSIC = names.index_signatures(None)
KEY = generate("ecdsa-p256")
OTHER = generate("ed25519")
MESSAGE = b'{"format":"1.0"}\n'


def trusting(*keys: PrivateKey) -> Trust:
    return Trust(kind="key", keys=tuple(key.public for key in keys))


def files_of(key: PrivateKey, message: bytes, slot: str | None = None) -> dict[str, bytes]:
    """What `sealift sign` writes."""
    signature = key.sign(message)
    bundle = envelope.write_message(key.public, Digest.of(message), signature)
    return dict(zip(names.index_signatures(slot), (bundle, blob.write_sig(signature)), strict=True))


def changed(data: bytes, change: Callable[[Any], object]) -> bytes:
    document = json.loads(data)
    change(document)
    return json.dumps(document).encode()


def refused(files: dict[str, bytes], match: str | None = None, message: bytes = MESSAGE) -> None:
    with pytest.raises(TrustError, match=match) as caught:
        trusting(KEY).check(message, files, where="bundle")
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_is_signed_is_accepted_and_who_signed_is_said(algorithm: str) -> None:
    key = KEY if algorithm == "ecdsa-p256" else OTHER
    decision = trusting(key).check(MESSAGE, files_of(key, MESSAGE), where="bundle")
    assert decision.signers == {key.public.id} and decision.index == Digest.of(MESSAGE)
    assert [one.file for one in decision.signatures] == [ENVELOPE, CLASSIC]


def test_either_file_alone_is_enough() -> None:
    for name in (ENVELOPE, CLASSIC):
        files = {name: files_of(KEY, MESSAGE)[name]}
        assert trusting(KEY).check(MESSAGE, files, where="bundle").signers == {KEY.public.id}


def test_attack_stripped_signature() -> None:
    refused({}, "not signed")


def test_attack_key_swap() -> None:
    """Signed all over again with the attacker's key."""
    refused(files_of(OTHER, MESSAGE), "not signed with the trusted key")
    refused(files_of(generate("ecdsa-p256"), MESSAGE), "not signed with the trusted key")


def test_attack_key_swap_under_the_hint_of_the_trusted_key() -> None:
    attacker = generate("ecdsa-p256")
    forged = envelope.write_message(KEY.public, Digest.of(MESSAGE), attacker.sign(MESSAGE))
    refused({ENVELOPE: forged}, "does not hold")


def test_attack_another_bundles_signature() -> None:
    refused(files_of(KEY, b"another index"), "something else")


def test_attack_another_bundles_signature_with_the_digest_made_to_fit() -> None:
    """What the document says of the digest is never what is checked."""
    forged = envelope.write_message(KEY.public, Digest.of(MESSAGE), KEY.sign(b"another index"))
    refused({ENVELOPE: forged}, "does not hold")


def test_attack_index_changed_under_its_signature() -> None:
    refused(files_of(KEY, MESSAGE), message=MESSAGE.replace(b"1.0", b"1.1"))
    refused({CLASSIC: files_of(KEY, MESSAGE)[CLASSIC]}, message=MESSAGE + b" ")


@pytest.mark.parametrize("damaged", [ENVELOPE, CLASSIC])
def test_attack_one_of_two_signatures_of_a_key_damaged(damaged: str) -> None:
    files = files_of(KEY, MESSAGE)
    files[damaged] = files_of(KEY, b"else")[damaged]
    refused(files)


def test_attack_a_statement_for_a_signature() -> None:
    """A signed attestation, put where the index's signature belongs, and a signature over its bytes likewise."""
    refused({ENVELOPE: dsse.sign(KEY, MESSAGE)}, "statement")
    signature = decode_base64(json.loads(dsse.sign(KEY, MESSAGE))["dsseEnvelope"]["signatures"][0]["sig"], where="")
    refused({CLASSIC: blob.write_sig(signature)}, "not signed with the trusted key")


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(critical="x"),
        lambda d: d["verificationMaterial"].update(policy="x"),
        lambda d: d["messageSignature"].update(alg="none"),
        lambda d: d["messageSignature"]["messageDigest"].update(more=1),
        lambda d: d.update(mediaType="application/vnd.dev.sigstore.bundle.v0.4+json"),
        lambda d: d.update(mediaType="application/vnd.dev.sigstore.bundle+json;version=0.1"),
        lambda d: d.update(media_type=d.pop("mediaType")),
        lambda d: d.update(messageSignature=None),
        lambda d: d.pop("verificationMaterial"),
        lambda d: d["verificationMaterial"].pop("publicKey"),
        lambda d: d["verificationMaterial"].update(certificate={"rawBytes": "AAAA"}),
        lambda d: d["verificationMaterial"].update(x509CertificateChain={"certificates": []}),
        lambda d: d["messageSignature"]["messageDigest"].update(algorithm="SHA2_512"),
        lambda d: d["messageSignature"]["messageDigest"].update(algorithm=""),
        lambda d: d["messageSignature"]["messageDigest"].update(digest="AAAA"),
        lambda d: d["messageSignature"].update(signature=""),
        lambda d: d["messageSignature"].update(signature=d["messageSignature"]["signature"] + "\n"),
        lambda d: d["messageSignature"].update(signature=encode_base64(bytes(600))),
        lambda d: d.update(dsseEnvelope={"payload": "", "payloadType": "", "signatures": [{"sig": ""}]}),
    ],
)
def test_attack_unknown_critical_fields_and_other_forms(change: Callable[[Any], object]) -> None:
    files = files_of(KEY, MESSAGE)
    refused({ENVELOPE: changed(files[ENVELOPE], change)})


def test_attack_duplicate_json_keys() -> None:
    text = files_of(KEY, MESSAGE)[ENVELOPE].decode()
    refused({ENVELOPE: text.replace("{", '{"mediaType":"x",', 1).encode()}, "duplicate")


@pytest.mark.parametrize("data", [b"", b"null", b"[]", b"\xef\xbb\xbf{}", b"[" * 100_000, b"{}" * 2])
def test_attack_not_a_signature_at_all(data: bytes) -> None:
    refused({ENVELOPE: data})
    refused({CLASSIC: data})


def der(r: bytes, s: bytes, *, header: bytes = b"\x30", after: bytes = b"") -> bytes:
    body = b"\x02" + bytes([len(r)]) + r + b"\x02" + bytes([len(s)]) + s
    return header + bytes([len(body) + len(after)]) + body + after


def integer(value: int) -> bytes:
    return value.to_bytes(value.bit_length() // 8 + 1)


def malleable() -> dict[str, bytes]:
    good = parse_ecdsa(KEY.sign(MESSAGE), where="")
    r, s = integer(good.r), integer(good.s)
    body = der(r, s)[2:]
    return {
        "padded integer": der(b"\x00" + r, s),
        "trailing byte inside": der(r, s, after=b"\x00"),
        "trailing byte after": der(r, s) + b"\x00",
        "long form of the length": b"\x30\x81" + bytes([len(body)]) + body,
        "indefinite length": b"\x30\x80" + body + b"\x00\x00",
        "set, not sequence": der(r, s, header=b"\x31"),
        "negative r": der(integer(good.r)[-32:], s) if good.r >> 255 else der(b"\x80" + r[1:], s),
        "r zero": der(b"\x00", s),
        "s zero": der(r, b"\x00"),
        "s + n": der(r, integer(good.s + P256_ORDER)),
        "r is n": der(integer(P256_ORDER), s),
        "empty integer": der(b"", s),
        "raw r and s": good.r.to_bytes(32) + good.s.to_bytes(32),
        "cut": der(r, s)[:-1],
    }


@pytest.mark.parametrize("form", malleable())
def test_attack_malleable_der(form: str) -> None:
    data = malleable()[form]
    with pytest.raises(TrustError):
        KEY.public.verify(data, MESSAGE, where="sig")
    refused({ENVELOPE: envelope.write_message(KEY.public, Digest.of(MESSAGE), data)})


def test_the_high_s_is_accepted_as_cosign_does_and_said() -> None:
    good = parse_ecdsa(KEY.sign(MESSAGE), where="")
    twin = der(integer(good.r), integer(P256_ORDER - good.s))
    assert [KEY.public.verify(data, MESSAGE, where="") for data in (KEY.sign(MESSAGE), twin)] == [False, True]
    (found,) = trusting(KEY).check(MESSAGE, {CLASSIC: blob.write_sig(twin)}, where="bundle").signatures
    assert found.high_s


def test_attack_ed25519_signature_with_s_plus_the_order() -> None:
    signature = OTHER.sign(MESSAGE)
    order = 2**252 + 27742317777372353535851937790883648493
    s = int.from_bytes(signature[32:], "little") + order
    with pytest.raises(TrustError):
        OTHER.public.verify(signature[:32] + s.to_bytes(32, "little"), MESSAGE, where="")


def test_a_countersignature_of_an_unknown_key_proves_nothing_and_spoils_nothing() -> None:
    files = files_of(KEY, MESSAGE) | files_of(OTHER, MESSAGE, OTHER.public.short)
    assert trusting(KEY).check(MESSAGE, files, where="b").signers == {KEY.public.id}
    assert trusting(OTHER).check(MESSAGE, files, where="b").signers == {OTHER.public.id}
    found = holding(MESSAGE, files, [KEY.public, OTHER.public], where="b")
    assert {one.key for one in found} == {KEY.public.id, OTHER.public.id}


def test_one_signer_under_many_names_counts_once() -> None:
    files = files_of(KEY, MESSAGE) | files_of(KEY, MESSAGE, KEY.public.short)
    assert len(trusting(KEY).check(MESSAGE, files, where="b").signatures) == 4
    assert trusting(KEY).check(MESSAGE, files, where="b").signers == {KEY.public.id}


def test_attack_a_signature_under_another_keys_name() -> None:
    refused(files_of(KEY, MESSAGE, OTHER.public.short), "another key's name")
    short = OTHER.public.short
    classic = {names.index_signatures(short)[1]: files_of(KEY, MESSAGE)[CLASSIC]}
    refused(classic, "not signed with the trusted key")


def test_attack_more_signatures_than_anybody_needs() -> None:
    many = {names.index_signatures(f"{number:016x}")[1]: b"AAAA" for number in range(names.MAX_SIGNATURES + 1)}
    refused(many, "too many")


@pytest.mark.parametrize("name", [ENVELOPE, CLASSIC])
def test_attack_huge_envelope_is_refused_before_it_is_read(tmp_path: Path, name: str) -> None:
    bundle = make_bundle(tmp_path, big=10)
    with (bundle / name).open("wb") as file:
        file.truncate(40 << 30)
    with pytest.raises(LimitError, match="signature too large"):
        verify_bundle(bundle, trusting(KEY))


def test_attack_many_signature_files_are_refused_before_they_are_read(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path, big=10)
    for number in range(names.MAX_SIGNATURES + 1):
        (bundle / names.index_signatures(f"{number:016x}")[1]).write_bytes(b"AAAA")
    with pytest.raises(LimitError, match="too many signatures"):
        verify_bundle(bundle, trusting(KEY))


@pytest.mark.parametrize(("count", "size"), [(1, 65 << 20), (2, 33 << 20), (65, 1)])
def test_attack_statements_that_would_fill_the_nodes_disk(tmp_path: Path, count: int, size: int) -> None:
    """Nobody has signed them: whoever carries the bundle may put them there."""
    bundle = make_bundle(tmp_path, big=10)
    for number in range(count):
        with (bundle / names.attestation("sbom.cdx", f"{number:016x}")).open("wb") as file:
            file.truncate(size)
    with pytest.raises(LimitError, match="signed statements"):
        verify_bundle(bundle, Trust(kind="insecure"))


def test_attack_a_signature_file_that_is_a_link(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path, big=10)
    data = files_of(KEY, (bundle / "bundle.json").read_bytes())
    (tmp_path / "elsewhere").write_bytes(data[CLASSIC])
    (bundle / CLASSIC).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SealiftError):
        verify_bundle(bundle, trusting(KEY))


def test_nothing_of_the_index_is_parsed_before_the_signature_holds(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path, big=10)
    (bundle / "bundle.json").write_bytes(b"not json at all")
    (bundle / CLASSIC).write_bytes(files_of(OTHER, b"not json at all")[CLASSIC])
    with pytest.raises(TrustError):
        verify_bundle(bundle, trusting(KEY))
    with pytest.raises(FormatError):
        verify_bundle(bundle, trusting(OTHER))


def test_a_further_signer_leaves_the_first_ones_files_alone() -> None:
    first = files_of(KEY, MESSAGE)
    assert choose_slot(MESSAGE, {}, KEY.public, where="b") is None
    assert choose_slot(MESSAGE, first, KEY.public, where="b") is None
    assert choose_slot(MESSAGE, first, OTHER.public, where="b") == OTHER.public.short
    assert choose_slot(MESSAGE, {CLASSIC: first[CLASSIC]}, KEY.public, where="b") is None
    assert choose_slot(MESSAGE, {CLASSIC: first[CLASSIC]}, OTHER.public, where="b") == OTHER.public.short
    second = files_of(OTHER, MESSAGE, OTHER.public.short)
    assert choose_slot(MESSAGE, second, OTHER.public, where="b") == OTHER.public.short


def test_nobody_signs_beside_a_signature_of_something_else() -> None:
    with pytest.raises(SealiftError, match="something else"):
        choose_slot(MESSAGE, files_of(OTHER, b"before the change"), KEY.public, where="b")


STATEMENT = statement.Statement(
    subjects=(statement.Subject(name="bundle.json", digest=Digest.of(MESSAGE)),),
    predicate_type=statement.SLSA_PROVENANCE,
    predicate={"a": 1},
)


def test_a_statement_is_read_back_as_it_was_said() -> None:
    data = dsse.sign(KEY, statement.encode(STATEMENT))
    assert statement.decode(dsse.verify(data, KEY.public, where="s"), where="s") == STATEMENT


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(payload=encode_base64(b"{}")),
        lambda d: d.update(payloadType="text/plain"),
        lambda d: d["signatures"].append(d["signatures"][0]),
        lambda d: d["signatures"].clear(),
        lambda d: d["signatures"][0].update(sig=encode_base64(KEY.sign(b"x"))),
        lambda d: d["signatures"][0].update(cert="x"),
        lambda d: d.update(extra=1),
    ],
)
def test_attack_a_changed_statement(change: Callable[[Any], object]) -> None:
    data = dsse.sign(KEY, statement.encode(STATEMENT))
    with pytest.raises((TrustError, FormatError)):
        dsse.verify(changed(data, lambda d: change(d["dsseEnvelope"])), KEY.public, where="s")


def test_attack_a_statement_of_another_payload_type() -> None:
    data = dsse.sign(KEY, statement.encode(STATEMENT), payload_type="application/octet-stream")
    with pytest.raises(TrustError, match="another type"):
        dsse.verify(data, KEY.public, where="s")


def test_the_pre_authentication_encoding_is_the_specifications() -> None:
    """The vector of DSSE's protocol.md."""
    assert dsse.pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
