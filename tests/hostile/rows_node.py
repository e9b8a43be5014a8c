"""What a node reads beside archives: names, configuration, its own records, manifests; and JSON that splits readers."""

import json
import os
from collections.abc import Callable
from typing import Any

from bundles.errors import FormatError, MissingError, SealiftError, UsageError
from tests.hostile import readers_under_attack as read
from tests.hostile.corpus_model import Attack, Place, table
from tests.hostile.making_archives import text
from tests.hostile.making_recipes import laughs
from tests.support.releases import FIRST

Send = Callable[[Place], object]
HEX = "ab" * 32


def file(data: bytes | str) -> Send:
    raw = data if isinstance(data, bytes) else os.fsencode(data)
    return lambda place: (place.sent / "a").write_bytes(raw)


def merges(levels: int = 9) -> str:
    """Each mapping holds nine times the one before."""
    lines = ["a0: &a0 {k: v}"]
    lines += [f"a{n}: &a{n} {{<<: [" + ",".join([f"*a{n - 1}"] * 9) + "]}" for n in range(1, levels)]
    return "\n".join([*lines, "runtime-image: [x]"])


def nothing(place: Place) -> None:
    """The attack is in the argument."""


REFERENCES = [
    attack
    for name, spelled, words in (
        ("climbing repository", "rancher/../x:v1", "malformed repository"),
        ("absolute repository", "/rancher/x:v1", "malformed"),
        ("empty component", "rancher//x:v1", "malformed repository"),
        ("capital letters", "Rancher/x:v1", "malformed repository"),
        ("no tag", "rancher/x", "no tag and no digest"),
        ("empty tag", "rancher/x:", "malformed tag"),
        ("tag with a plus", "rancher/x:v1+rke2r1", "malformed tag"),
        ("tag that climbs", "rancher/x:../../etc", "no tag and no digest"),
        ("tag of 200 characters", "rancher/x:" + "a" * 200, "malformed tag"),
        ("line end in the tag", "rancher/x:v1\nok", "malformed tag"),
        ("blank inside", "rancher/ x:v1", "malformed"),
        ("NUL", "rancher/x:v1\x00", "malformed tag"),
        ("Cyrillic letter", "r\u0430ncher/x:v1", r"malformed repository[\s\S]*\\u0430"),
        ("full-width slash", "rancher\uff0fx:v1", r"malformed repository[\s\S]*\\uff0f"),
        ("zero-width joiner", "rancher/x\u200d:v1", r"malformed repository[\s\S]*\\u200d"),
        ("written backwards", "rancher/\u202ex:v1", r"malformed repository[\s\S]*\\u202e"),
        ("Arabic digit in the tag", "rancher/x:v\u0661", r"malformed tag[\s\S]*\\u0661"),
        ("another digest algorithm", "rancher/x@sha512:" + "0" * 128, "not a digest"),
        ("digest in capital letters", "rancher/x@sha256:" + "AB" * 32, "not a digest"),
        ("digest cut short", "rancher/x@sha256:" + "0" * 63, "not a digest"),
        ("two digests", f"rancher/x@sha256:{HEX}@sha256:{HEX}", "not a digest"),
        ("URL", "https://registry.example/x:v1", "malformed"),
        ("credentials", "user:secret@registry.example/x:v1", "not a digest"),
        ("domain with a port that is none", "registry.example:port/x:v1", "malformed domain"),
        ("domain with an escape sequence", "registry\x1b[2J.example/x:v1", r"malformed domain[\s\S]*\\x1b"),
        ("name of 8 MiB", "a/" * (4 << 20) + "x:v1", "name too long"),
    )
    for attack in table("references", read.reference(spelled), FormatError, {name: (nothing, words)})
]
CONFIG = [
    *table(
        "node configuration",
        read.node_config,
        UsageError,
        {
            "billion laughs": (file(laughs()), "unknown key|must be a value"),
            "nested without end": (file("a: " + "[" * 10_000), "not YAML"),
            "values without end": (file("node-label: [" + "a=b," * 20_000 + "x]"), "is not KEY=VALUE"),
            "300 KiB": (file("#" * (300 << 10)), "too large"),
            "a key twice": (file("token: a\ntoken: b\n"), "stands here twice"),
            "a list": (file("- a\n"), "not a mapping"),
            "a key that is a list": (file("? [a]\n: b\n"), "a key must be text"),
            "a value that is a mapping": (file("token: {a: b}\n"), "must be a value or a list"),
            "a merge key": (file("a: &a {token: x}\n<<: *a\n"), "must be a value|unknown key"),
            "a tag that runs code": (file("x: !!python/object/apply:os.system [id]\n"), "unknown key"),
            "not UTF-8": (file(b"token: \xff\n"), "not UTF-8"),
            "a tab": (file("\ttoken: x\n"), "not YAML"),
            "an unknown key that steers a terminal": (file('"\\e[2Jx": y\n'), r"\\x1b"),
            "an unknown key that forges a line": (file('"x\\nok": y\n'), r"x\\nok"),
            "node name that climbs": (file("node-name: ../../x\n"), "cannot be a node's name"),
            "node name with a line end": (file('node-name: "a\\nb"\n'), "cannot be a node's name"),
            "node name of 300 characters": (file("node-name: " + "a" * 300), "cannot be a node's name"),
            "node name in look-alike letters": (file("node-name: n\u0456\n"), "cannot be a node's name"),
            "node address of nobody": (file("node-ip: 999.1.1.1\n"), "node-ip"),
            "node address in octal": (file("node-ip: 010.0.0.1\n"), "node-ip"),
            "loopback as the node's address": (file("node-ip: 127.0.0.1\n"), "cannot be a node's address"),
            "networks that overlap": (file("cluster-cidr: 10.0.0.0/8\nservice-cidr: 10.43.0.0/16\n"), "overlaps"),
            "network of the whole world": (file("cluster-cidr: 0.0.0.0/0\n"), "overlaps"),
            "domain with a blank": (file("cluster-domain: 'a b'\n"), "not a DNS name"),
            "ports without end": (file("service-node-port-range: 1-99999\n"), "not FIRST-LAST"),
            "certificate name with a line end": (file('tls-san: "a\\nb"\n'), "neither an address nor a DNS name"),
            "taint without an effect": (file("node-taint: a=b:Evil\n"), "KEY=VALUE:EFFECT"),
            "image in capital letters": (file("runtime-image: EVIL/x:v1\n"), "."),
            "server by http": (file("server: http://x:9345\n"), "not an https"),
            "flag that is a word": (file("debug: maybe\n"), "true or false"),
            "setting that does not exist here": (file("rootless: true\n"), "."),
        },
    ),
    *table(
        "node configuration",
        read.configured,
        UsageError,
        {
            "merge keys that grow": (file(merges()), "no image reference"),
            "runtime-image that is a list": (file("runtime-image: [a/b:v1, a/b:v2]\n"), "no image reference"),
            "runtime-image that steers a terminal": (
                file('runtime-image: "a/b:\\e[2J"\n'),
                r"no image reference[\s\S]*\\x1b",
            ),
            "runtime-image that is a number": (file("runtime-image: 1e3\n"), "no image reference"),
            "nested without end, again": (file("[" * 10_000), "not YAML"),
        },
    ),
]


def record(**changes: Any) -> Send:
    """admitted.json of a good node with other fields."""
    value: dict[str, Any] = {
        "format": "1.0",
        "bundle": "rke2-x",
        "index": f"sha256:{HEX}",
        "version": FIRST,
        "flavour": "classic",
        "sequence": 1,
        "platform": "linux/amd64",
        "runtime": {"reference": "docker.io/rancher/rke2-runtime:v1", "digest": f"sha256:{HEX}", "key": "v1-0"},
        "archives": [{"name": "a.tar", "size": 1, "sha256": f"sha256:{HEX}"}],
    }
    return file(json.dumps(value | changes))


RECORDS = table(
    "records of the node",
    read.admitted_record,
    SealiftError,
    {
        "not JSON": (file("hello"), "not JSON[\\s\\S]*remove this file"),
        "empty": (file(""), "not JSON"),
        "5 MiB": (file(b" " * (5 << 20)), "too large"),
        "another format": (record(format="2.0"), "another version"),
        "a field missing": (file("{}"), "missing required field"),
        "wrong case": (record(Bundle="x"), "wrong case"),
        "sequence as text": (record(sequence="1"), "unexpected JSON"),
        "digest of another kind": (record(index="md5:0"), "not a digest"),
        "nested without end": (file("[" * 100_000), "nested too deeply"),
        "values without end": (file("[" + "[]," * 400_000 + "1]"), "too many JSON values"),
        "a folder": (lambda place: (place.sent / "a").mkdir(), "."),
    },
)
HEAD = "apiVersion: helm.cattle.io/v1\nkind: HelmChart\nmetadata:\n  name: x\n"
MANIFESTS = table(
    "manifests",
    read.manifest,
    FormatError,
    {
        "billion laughs": (file(HEAD + laughs()), "."),
        "nested without end": (file(HEAD + "spec: " + "[" * 200_000), "."),
        "nested by dashes without end": (file(HEAD + "spec:\n" + "- " * 100_000), "."),
        "an alias of itself": (file(HEAD + "spec: &a [*a]\n"), "."),
        "metadata that is a list": (file("apiVersion: helm.cattle.io/v1\nkind: HelmChart\nmetadata: [x]\n"), "."),
        "no metadata": (file("apiVersion: v1\nkind: ConfigMap\n"), "without metadata"),
        "no name": (file("apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n"), "needs apiVersion, kind"),
        "a text": (file("hello"), "no object"),
        "a list": (file("- a\n"), "no object"),
        "spec that is a list": (file(HEAD + "spec: [a]\n"), "."),
        "set that is a text": (file(HEAD + "spec: {set: x}\n"), "."),
        "annotations that are a list": (file(HEAD + "  annotations: [x]\n"), "."),
        "a tag that runs code": (file(HEAD + "spec: !!python/object/apply:os.system [id]\n"), "."),
        "a date where text must be": (file(HEAD + "spec: !!timestamp 2001-01-01\n"), "."),
        "a number of 5000 digits": (file(HEAD + "spec: {valuesContent: " + "9" * 5000 + "}\n"), "."),
        "a key that is a list": (file(HEAD + "spec:\n  ? [a]\n  : b\n"), "."),
        "not UTF-8": (file(HEAD.encode() + b"spec: \xff\n"), "."),
        "an infinite number": (file(HEAD + "spec: {a: 1e999}\n"), "."),
        "control characters": (file(HEAD + "spec: \x07\n"), "."),
    },
)


def manifest_json(change: Callable[[bytes], bytes]) -> Send:
    return text("manifest.json", change)


JSON = table(
    "JSON that splits readers",
    read.extract,
    MissingError,
    {
        "a key twice": (
            manifest_json(lambda d: d.replace(b'"Config":', b'"Config": "x", "Config":')),
            "duplicate JSON key",
        ),
        "a key twice, once escaped": (
            manifest_json(lambda d: d.replace(b'"Config":', b'"\\u0043onfig": "x", "Config":')),
            "duplicate JSON key",
        ),
        "wrong case": (manifest_json(lambda d: d.replace(b'"Config"', b'"config"')), "wrong case"),
        "wrong case beside the right one": (
            manifest_json(lambda d: d.replace(b'"Config":', b'"CONFIG": "x", "Config":')),
            "wrong case",
        ),
        "a letter that folds to the right one": (
            manifest_json(lambda d: d.replace(b'"RepoTags":', '"RepoTag\u017f": [], "RepoTags":'.encode())),
            "wrong case",
        ),
        "NaN": (manifest_json(lambda d: d.replace(b'"Config":', b'"x": NaN, "Config":')), "no NaN"),
        "minus infinity": (manifest_json(lambda d: d.replace(b'"Config":', b'"x": -Infinity, "Config":')), "no NaN"),
        "a number beyond all bounds": (
            manifest_json(lambda d: d.replace(b'"Config":', b'"x": 1e999, "Config":')),
            "no NaN",
        ),
        "an integer beyond 64 bits": (
            manifest_json(lambda d: d.replace(b'"Config":', b'"x": 18446744073709551616, "Config":')),
            "beyond 64 bits",
        ),
        "byte order mark": (manifest_json(lambda d: b"\xef\xbb\xbf" + d), "not JSON"),
        "UTF-16": (manifest_json(lambda d: d.decode().encode("utf-16")), "not UTF-8"),
        "UTF-8 of a surrogate": (manifest_json(lambda d: d.replace(b"Config", b"\xed\xa0\x80")), "not UTF-8"),
        "half a surrogate pair, escaped": (
            manifest_json(lambda d: d.replace(b'"Config":', b'"x": "\\udfff", "Config":')),
            "surrogate",
        ),
        "a comment": (manifest_json(lambda d: b"/* x */" + d), "not JSON"),
        "a comma at the end": (manifest_json(lambda d: d.replace(b"]}]", b"],}]")), "not JSON"),
        "single quotes": (manifest_json(lambda d: d.replace(b'"', b"'")), "not JSON"),
        "a control character in a text": (manifest_json(lambda d: d.replace(b"Config", b"Con\x01fig")), "not JSON"),
        "two documents": (manifest_json(lambda d: d + b" " + d), "not JSON"),
        "nested without end": (manifest_json(lambda d: b"[" * 1_000_000), "nested too deeply"),
        "nested in a field nobody reads": (
            manifest_json(
                lambda d: d.replace(b'"Config":', b'"x": ' + b'{"a":' * 40 + b"1" + b"}" * 40 + b', "Config":')
            ),
            "nested too deeply",
        ),
        "values without end": (manifest_json(lambda d: b"[" + b"{}," * 600_000 + d[1:]), "too many JSON values"),
        "fields without end": (
            manifest_json(lambda d: b"[{" + b",".join(b'"%d":1' % n for n in range(600_000)) + b"}]"),
            "too many JSON values",
        ),
        "null where a list is": (
            manifest_json(lambda d: d.replace(b'"Layers": [', b'"Layers": null, "x": [')),
            "unexpected JSON",
        ),
        "empty": (manifest_json(lambda d: b""), "not JSON|not a JSON"),
        "a text": (manifest_json(lambda d: b'"x"'), "unexpected JSON|not a JSON"),
    },
)
ATTACKS: list[Attack] = REFERENCES + CONFIG + RECORDS + MANIFESTS + JSON
