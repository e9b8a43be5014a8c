"""What is written is read back: documents, names, YAML, and facts of programs."""

import base64
import hashlib
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from builder.facts.gobinary import go_facts
from builder.sources.modhash import folder_hash
from builder.steps.debfile import DebFile
from bundles import index, jsontext
from bundles.datakey import data_key
from bundles.digest import Digest
from bundles.errors import UsageError
from bundles.index import BundleIndex
from bundles.reference import Reference
from bundles.sums import sums_text
from runtime import admitted
from runtime.daemon.addons import _GoLoader
from runtime.kubeconfig import admin_kubeconfig
from runtime.prove import report
from runtime.yamltext import yaml_text
from tests.fuzz.strategies import BODIES, DIGESTS, MODES, NAMES, WORDS, references
from tests.fuzz.targets.build import ar
from tests.support import tars

FEW = settings(max_examples=settings().max_examples // 4)
SIZES = st.integers(0, 1 << 40)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
IDS = st.from_regex(r"[a-z0-9][a-z0-9._+-]{0,6}", fullmatch=True)
INDEXES = st.builds(
    BundleIndex,
    format=st.just("1.0"),
    name=IDS,
    version=IDS,
    flavour=st.sampled_from(["classic", "modern"]),
    sequence=SIZES,
    created=st.integers(0, (1 << 33) - 1),
    platform=st.sampled_from(["linux/amd64", "linux/arm64/v8"]),
    lock=st.builds(index.Sha256, sha256=DIGESTS),
    runtime=st.builds(index.Runtime, reference=references(), digest=DIGESTS, key=WORDS),
    archives=st.lists(
        st.builds(
            index.Archive,
            path=WORDS,
            size=SIZES,
            sha256=DIGESTS,
            images=st.lists(references(), max_size=2),
            blobs=st.lists(
                st.builds(
                    index.Blob,
                    digest=DIGESTS,
                    size=SIZES,
                    offset=SIZES,
                    frames=st.none() | st.lists(st.tuples(SIZES, SIZES), max_size=3),
                ),
                max_size=2,
            ),
        ),
        max_size=2,
    ),
    images=st.lists(
        st.builds(index.Image, reference=references(), digest=DIGESTS, archive=WORDS, why=TEXTS, index_digest=DIGESTS),
        max_size=2,
    ),
    charts=st.lists(st.builds(index.Chart, name=WORDS, version=WORDS, sha256=DIGESTS), max_size=2),
    files=st.lists(
        st.builds(index.File, path=WORDS, size=SIZES, sha256=DIGESTS), max_size=2, unique_by=lambda f: f.path
    ),
    expires=st.none() | SIZES,
)


@given(INDEXES, DIGESTS)
def test_any_index_is_read_as_it_was_written_and_a_node_remembers_it(document: BundleIndex, digest: Digest) -> None:
    data = index.encode(document)
    assert index.decode(data) == document and index.encode(index.decode(data)) == data
    record = admitted.describe(document, bundle="b", digest=digest)
    assert jsontext.decode(jsontext.encode_canonical(record), admitted.Admitted, where="t") == record


@FEW
@given(st.dictionaries(NAMES, BODIES, max_size=3))
def test_sha256sum_itself_checks_what_the_sums_say(files: dict[str, bytes]) -> None:
    listed = {name: body for name, body in files.items() if name.isascii() and "\\" not in name and name != "-"}
    with tempfile.TemporaryDirectory() as folder:
        rows = [index.File(path=name, size=len(body), sha256=Digest.of(body)) for name, body in listed.items()]
        for name, body in {**listed, "bundle.json": b"index"}.items():
            Path(folder, name).write_bytes(body)
        text = sums_text(_index_of(rows), Digest.of(b"index"))
        checked = subprocess.run(
            ["sha256sum", "--strict", "-c", "-"], input=text.encode(), cwd=folder, capture_output=True
        )
    assert checked.returncode == 0, checked.stderr


def _index_of(files: list[index.File]) -> BundleIndex:
    some = Digest.of(b"")
    runtime = index.Runtime(reference="a/b:v1", digest=some, key="k")
    return BundleIndex(
        format="1.0", name="n", version="v", flavour="classic", sequence=1, created=0, platform="linux/amd64",
        lock=index.Sha256(sha256=some), runtime=runtime, archives=[], images=[], charts=[], files=files,
    )  # fmt: skip


@given(references())
def test_every_spelling_of_a_reference_names_the_same_image(text: str) -> None:
    reference = Reference.parse(text)
    for spelling in (reference.name, reference.index_name, reference.familiar):
        assert Reference.parse(spelling).name == reference.name
    try:
        key = data_key(reference)
    except UsageError:
        return
    assert key == data_key(Reference.parse(text)) and "/" not in key and key not in ("", ".", "..")


PLAIN = st.recursive(
    st.booleans()
    | st.integers(-(10**6), 10**6)
    | TEXTS
    | st.sampled_from(["", "~", "no", "1e3", "0x1F", "012", "<<", "=", "- a", "a: b", "#"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(TEXTS, PLAIN, min_size=1, max_size=3))
def test_yaml_is_read_alike_by_readers_of_two_generations(document: dict[str, Any]) -> None:
    text = yaml_text(document)
    assert yaml.safe_load(text) == document
    assert yaml.load(text, Loader=_GoLoader) == document


@given(TEXTS, st.binary(max_size=40), st.binary(max_size=40))
def test_a_kubeconfig_holds_what_it_was_given(url: str, certificate: bytes, key: bytes) -> None:
    document = yaml.safe_load(admin_kubeconfig(url, certificate, certificate, key))
    user, cluster = document["users"][0]["user"], document["clusters"][0]["cluster"]
    assert cluster["server"] == url
    assert base64.b64decode(user["client-key-data"]) == key
    assert base64.b64decode(user["client-certificate-data"]) == certificate


SECONDS = st.none() | st.floats(0, 1e6, allow_nan=False)
COUNTS = st.integers(0, 1 << 40)
MANY = st.lists(TEXTS, max_size=2).map(tuple)


def some(kind: type[Any], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    """A few values of a kind."""
    return st.lists(st.builds(kind, **fields), max_size=2).map(tuple)


REPORTS = st.builds(
    report.Report,
    format=st.just("1.0"),
    ready=st.booleans(),
    bundle=st.builds(report.Bundle, name=TEXTS, version=TEXTS, sha256=DIGESTS),
    nodes=some(report.NodeResult, name=TEXTS, role=TEXTS, ready_seconds=SECONDS),
    pods=some(
        report.PodResult, namespace=TEXTS, name=TEXTS, node=TEXTS, phase=TEXTS, ready=st.booleans(), restarts=COUNTS
    ),
    images=some(report.ImageResult, reference=TEXTS, digest=DIGESTS, used_by=MANY),
    unused=MANY,
    missing=some(report.MissingResult, reference=TEXTS, used_by=MANY),
    outside=st.builds(report.OutsideResult, attempts=COUNTS, packets=COUNTS, control=st.booleans()),
    checks=some(report.CheckResult, name=TEXTS, ok=st.booleans(), seconds=st.floats(0, 1e6)),
    stages=some(report.StageResult, name=TEXTS, seconds=SECONDS),
)


@given(REPORTS)
def test_a_report_is_read_as_it_was_written(document: report.Report) -> None:
    data = report.encode(document)
    assert report.decode(data, where="t") == document and json.loads(data)["format"] == "1.0"


LINE = st.text(st.characters(exclude_categories=["C", "Z"]), max_size=12)


@given(
    LINE,
    st.lists(st.tuples(LINE, LINE, LINE), max_size=4),
    st.dictionaries(st.text("-ABC_", min_size=1), LINE, max_size=3),
)
def test_build_information_is_read_as_go_writes_it(
    version: str, modules: list[tuple[str, str, str]], values: dict[str, str]
) -> None:
    lines = ["path\tmain", *("\t".join(("dep", *module)) for module in modules)]
    lines += [f"build\t{name}={value}" for name, value in values.items()]
    text = b"0" * 16 + "".join(f"{line}\n" for line in lines).encode() + b"1" * 16
    inside = b"".join(varint(len(part)) + part for part in (version.encode(), text))
    facts = go_facts(b"\x7fELF" + bytes(12) + b"\xff Go buildinf:\x08\x02" + bytes(16) + inside)
    assert facts is not None and facts.go == version
    assert [(module.path, module.version, module.h1) for module in facts.modules] == modules
    assert facts.settings == {name: value.strip('"') for name, value in values.items()}


def varint(number: int) -> bytes:
    """encoding/binary, Uvarint."""
    return bytes([number]) if number < 0x80 else bytes([number & 0x7F | 0x80]) + varint(number >> 7)


@given(st.dictionaries(NAMES, st.tuples(BODIES, MODES), max_size=4))
def test_a_package_gives_the_files_that_were_put_into_it(files: dict[str, tuple[bytes, int]]) -> None:
    short = {name: content for name, content in files.items() if len(name.encode()) <= 90}
    data = tars.tar(*(tars.member(f"./{name}", body, mode=mode) for name, (body, mode) in short.items()))
    package = DebFile(ar(debian_binary=b"2.0\n", data_tar=data), where="x.deb")
    assert package.paths == tuple(sorted(short))
    for name, (body, mode) in short.items():
        assert package.file(name) == (body, bool(mode & 0o111))


@FEW
@given(st.dictionaries(NAMES, BODIES, max_size=4))
def test_a_modules_hash_is_that_of_gos_definition(files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, body in files.items():
            Path(folder, name).write_bytes(body)
        found = folder_hash(Path(folder), "m@v1")
    rows = sorted((f"m@v1/{name}", hashlib.sha256(body).hexdigest()) for name, body in files.items())
    total = hashlib.sha256("".join(f"{hex_}  {name}\n" for name, hex_ in rows).encode())
    assert found == "h1:" + base64.b64encode(total.digest()).decode()
