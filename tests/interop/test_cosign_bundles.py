"""What `sealift sign` writes is what real cosign 2 and 3 and openssl accept, and the other way round; all offline."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bundles.digest import Digest
from bundles.errors import TrustError
from bundles.signing import dsse, envelope, keyfile, statement
from bundles.signing.base64text import decode_base64
from bundles.signing.keys import ALGORITHMS, Algorithm, read_public_key
from bundles.signing.pem import write_block
from bundles.signing.signed import Signature, holding
from bundles.trust import require
from bundles.verify import verify_bundle
from tests.support.bundles import add_documents, make_bundle
from tests.support.cosigning import PASSPHRASE, Cosign, KeyFiles, cosign, key_files

SEALIFT = Path(sys.executable).parent / "sealift"
KINDS = {
    "provenance.sigstore.json": ("slsaprovenance1", statement.SLSA_PROVENANCE),
    "sbom.spdx.sigstore.json": ("spdxjson", statement.SPDX),
    "sbom.cdx.sigstore.json": ("cyclonedx", statement.CYCLONEDX),
}


@pytest.fixture(scope="module", params=[2, 3])
def tool(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Cosign:
    return cosign(request.param, tmp_path_factory.mktemp("cosign"))


@pytest.fixture(scope="module", params=ALGORITHMS)
def keys(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> KeyFiles:
    algorithm: Algorithm = request.param
    return key_files(tmp_path_factory.mktemp("keys"), algorithm)


@pytest.fixture(scope="module")
def signed(keys: KeyFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with provenance and SBOMs, signed by `sealift sign`."""
    bundle = make_bundle(tmp_path_factory.mktemp("signed"), big=10)
    add_documents(bundle)
    sealift_sign(bundle, "--key", keys.private)
    return bundle


@pytest.fixture(scope="module")
def p256(tmp_path_factory: pytest.TempPathFactory) -> KeyFiles:
    """For what cosign signs: 2.6 panics on an Ed25519 key, 3.1 makes attestations with one that it refuses itself."""
    return key_files(tmp_path_factory.mktemp("p256"))


def sealift_sign(bundle: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [SEALIFT, "sign", bundle, "--progress", "none", *arguments]
    done = subprocess.run(command, env={"COSIGN_PASSWORD": PASSPHRASE}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


def changed(path: Path, target: Path) -> Path:
    """The file's copy with one blank more: for another spelling of the same document no signature holds either."""
    target.write_bytes(path.read_bytes().replace(b":", b": ", 1))
    return target


def test_cosign_accepts_our_bundle_and_our_classic_signature(
    tool: Cosign, keys: KeyFiles, signed: Path, tmp_path: Path
) -> None:
    index = signed / "bundle.json"
    other = changed(index, tmp_path / "bundle.json")
    assert tool.accepts_bundle(keys.public, signed / "bundle.json.sigstore.json", index)
    assert not tool.accepts_bundle(keys.public, signed / "bundle.json.sigstore.json", other)
    assert tool.accepts_sig(keys.public, signed / "bundle.json.sig", index)
    assert not tool.accepts_sig(keys.public, signed / "bundle.json.sig", other)
    stranger = key_files(tmp_path)
    assert not tool.accepts_bundle(stranger.public, signed / "bundle.json.sigstore.json", index)


@pytest.mark.parametrize("name", KINDS)
def test_cosign_accepts_our_attestations(tool: Cosign, keys: KeyFiles, signed: Path, tmp_path: Path, name: str) -> None:
    kind, _ = KINDS[name]
    assert tool.accepts_statement(keys.public, signed / name, kind, signed / "bundle.json")
    assert not tool.accepts_statement(
        keys.public, signed / name, kind, changed(signed / "bundle.json", tmp_path / "bundle.json")
    )


def test_cosign_accepts_the_provenance_of_each_archive(tool: Cosign, keys: KeyFiles, signed: Path) -> None:
    for archive in (signed / "images").iterdir():
        assert tool.accepts_statement(keys.public, signed / "provenance.sigstore.json", "slsaprovenance1", archive)


def test_cosign_signs_with_our_key_file_and_we_accept_it(tool: Cosign, p256: KeyFiles, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path, big=10)
    index = bundle / "bundle.json"
    if tool.version == 2:
        classic = bundle / "bundle.json.sig"
        tool.run("sign-blob", "--key", p256.private, *tool.signing, "--output-signature", classic, index)
        assert verify_bundle(bundle, require(key=p256.public)).decision.signers == {p256.key.public.id}
        classic.unlink()
    made = bundle / "bundle.json.sigstore.json"
    tool.run("sign-blob", "--key", p256.private, *tool.signing, *tool.bundle_form, "--bundle", made, index)
    report = verify_bundle(bundle, require(key=p256.public))
    assert report.decision.signers == {p256.key.public.id}
    with pytest.raises(TrustError, match="not signed with the trusted key"):
        verify_bundle(bundle, require(key=key_files(tmp_path).public))


def test_cosigns_own_keys_sign_bundles_here(tool: Cosign, tmp_path: Path) -> None:
    tool.run("generate-key-pair", "--output-key-prefix", "own")
    bundle = make_bundle(tmp_path, big=10)
    sealift_sign(bundle, "--key", tool.home / "own.key")
    assert verify_bundle(bundle, require(key=tool.home / "own.pub")).decision.signers
    assert tool.accepts_bundle(tool.home / "own.pub", bundle / "bundle.json.sigstore.json", bundle / "bundle.json")


def test_cosign_says_the_same_public_key_and_its_hint(tool: Cosign, keys: KeyFiles) -> None:
    printed = tool.run("public-key", "--key", keys.private).stdout
    assert read_public_key(printed, where="cosign") == keys.key.public
    with pytest.raises(Exception, match="passphrase"):
        keyfile.read_private_key(keys.private.read_bytes(), lambda: b"wrong", where="k")


def test_we_accept_cosigns_attestations(tool: Cosign, p256: KeyFiles, tmp_path: Path) -> None:
    blob, predicate = tmp_path / "blob", tmp_path / "predicate.json"
    blob.write_bytes(b"content")
    predicate.write_text(json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6"}))
    made = tmp_path / "attestation.json"
    options: list[str | Path] = ["--predicate", predicate, "--type", "cyclonedx", "--bundle", made, *tool.bundle_form]
    tool.run("attest-blob", "--key", p256.private, *tool.signing, *options, blob)
    said = statement.decode(dsse.verify(made.read_bytes(), p256.key.public, where=made), where=made)
    assert said.predicate_type == statement.CYCLONEDX and said.predicate["specVersion"] == "1.6"
    said.about(Digest.of(b"content"), where=made)
    with pytest.raises(TrustError, match="something else"):
        said.about(Digest.of(b"other"), where=made)


def test_cosign_is_a_signer_program(tool: Cosign, p256: KeyFiles, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path, big=10)
    add_documents(bundle)
    where = [] if tool.version == 2 else ["--bundle", "/dev/stdout"]
    words: list[str | Path] = [tool.program, "sign-blob", "--key", p256.private, *tool.signing, *where, "-"]
    sealift_sign(bundle, "--signer", "exec:" + " ".join(map(str, words)), "--public", p256.public)
    assert verify_bundle(bundle, require(key=p256.public)).decision.signers == {p256.key.public.id}
    assert tool.accepts_statement(p256.public, bundle / "sbom.cdx.sigstore.json", "cyclonedx", bundle / "bundle.json")


def test_openssl_accepts_our_signature_and_we_accept_openssls(keys: KeyFiles, signed: Path, tmp_path: Path) -> None:
    index = signed / "bundle.json"
    raw = tmp_path / "sig.bin"
    raw.write_bytes(decode_base64((signed / "bundle.json.sig").read_text().strip(), where="sig"))
    if keys.key.public.algorithm == "ecdsa-p256":
        check: list[str | Path] = ["dgst", "-sha256", "-verify", keys.public, "-signature", raw, index]
        make: list[str | Path] = ["dgst", "-sha256", "-sign", tmp_path / "plain.pem", index]
    else:
        check = ["pkeyutl", "-verify", "-pubin", "-inkey", keys.public, "-rawin", "-in", index, "-sigfile", raw]
        make = ["pkeyutl", "-sign", "-inkey", tmp_path / "plain.pem", "-rawin", "-in", index]
    subprocess.run(["openssl", *check], check=True, capture_output=True)
    (tmp_path / "plain.pem").write_bytes(write_block("PRIVATE KEY", keys.key.pkcs8()))
    theirs = subprocess.run(["openssl", *make], check=True, capture_output=True).stdout
    keys.key.public.verify(theirs, index.read_bytes(), where="openssl")


@pytest.mark.parametrize("name", ["bundle.json.sigstore.json", "provenance.sigstore.json"])
def test_a_tampered_field_of_any_signature_document_is_refused_by_both(
    tool: Cosign, keys: KeyFiles, signed: Path, tmp_path: Path, name: str
) -> None:
    """Every field's value, one after the other; a field whose change cosign overlooks is named here."""
    index = (signed / "bundle.json").read_bytes()
    public = keys.key.public
    overlooked = set()
    for path, document in tampered(json.loads((signed / name).read_bytes())):
        forged = tmp_path / "forged.json"
        forged.write_text(json.dumps(document, separators=(",", ":")))
        with pytest.raises(Exception) as caught:
            if name == "bundle.json.sigstore.json":
                require_one(holding(index, {name: forged.read_bytes()}, [public], where="w"))
            else:
                dsse.verify(forged.read_bytes(), public, where="w")
        assert type(caught.value).__name__ in ("TrustError", "FormatError"), path
        if name == "bundle.json.sigstore.json":
            accepted = tool.accepts_bundle(keys.public, forged, signed / "bundle.json")
        else:
            accepted = tool.accepts_statement(keys.public, forged, "slsaprovenance1", signed / "bundle.json")
        if accepted:
            overlooked.add(path)
    # cosign takes the key from its command line and does not compare it with the hint.
    assert overlooked <= {"verificationMaterial.publicKey.hint"}


def require_one(found: tuple[Signature, ...]) -> None:
    """As `Trust.check` does: a signature of a key that nobody knows is passed over, and then there is none."""
    if not found:
        raise TrustError("nobody's signature")


def tampered(document: object, path: str = "") -> list[tuple[str, object]]:
    """Every way to change one string in a JSON document: path -> the whole changed document."""
    if isinstance(document, str):
        swapped = "A" if document[:1] != "A" else "B"
        return [(path, swapped + document[1:])]
    found: list[tuple[str, object]] = []
    if isinstance(document, dict):
        for key, value in document.items():
            at = f"{path}.{key}" if path else key
            found += [(where, {**document, key: other}) for where, other in tampered(value, at)]
    elif isinstance(document, list):
        for number, value in enumerate(document):
            rest = (document[:number], document[number + 1 :])
            found += [(where, [*rest[0], other, *rest[1]]) for where, other in tampered(value, f"{path}[{number}]")]
    return found


def test_cosign_3_signs_with_our_ed25519_key_too(tmp_path: Path) -> None:
    """It writes no digest then, because Ed25519 hashes by itself."""
    keys = key_files(tmp_path, "ed25519")
    tool = cosign(3, tmp_path / "cosign")
    bundle = make_bundle(tmp_path, big=10)
    made = bundle / "bundle.json.sigstore.json"
    tool.run("sign-blob", "--key", keys.private, *tool.signing, "--bundle", made, bundle / "bundle.json")
    assert envelope.read_message(made.read_bytes(), where=made).claimed is None
    assert verify_bundle(bundle, require(key=keys.public)).decision.signers == {keys.key.public.id}


@pytest.mark.real
def test_cosign_accepts_the_attestations_of_a_real_bundle(
    tool: Cosign, p256: KeyFiles, hello_bundle: Path, tmp_path: Path
) -> None:
    bundle = tmp_path / hello_bundle.name
    shutil.copytree(hello_bundle, bundle)
    sealift_sign(bundle, "--key", p256.private)
    for name, (kind, _) in KINDS.items():
        assert tool.accepts_statement(p256.public, bundle / name, kind, bundle / "bundle.json"), name
    for archive in (bundle / "images").iterdir():
        assert tool.accepts_statement(p256.public, bundle / "provenance.sigstore.json", "slsaprovenance1", archive)
