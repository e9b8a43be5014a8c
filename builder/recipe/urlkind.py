"""The keys of files that are fetched as somebody publishes them, and what they become."""

import re
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import urlsplit

from builder.recipe import words
from builder.recipe.fetched import ImageFilesComponent, UrlComponent, Witness, last_part
from builder.recipe.kinds import Field, Flag, Items, ItemsOrTable, Record, Table, Text
from bundles.digest import Digest
from bundles.masking import secret_parameter
from bundles.reference import Reference
from bundles.registry.place import is_loopback

Values = Mapping[str, Any]
Problem = Callable[[tuple[str, ...], str, str], None]
URL_SOURCE: Final = "url:"
PACKED: Final = (".tar.gz", ".tgz", ".tar.zst", ".tzst", ".tar.xz", ".txz", ".tar.bz2", ".tbz", ".tar", ".zip")
_WITNESSES: Final = ("sha256", "key", "signature", "sums")
_WORD: Final = re.compile(r"\$version(?![A-Za-z0-9_])")

# `$version` is put in before the text is taken for a URL.
_URL = Text(what="an https:// URL", pattern=words.URL, example="https://example.org/tool-$version.tar.gz")
_REFERENCE = Text(
    what="an image name with a tag or digest", pattern=r"[A-Za-z0-9._:/@-]+",
    example="rancher/hardened-etcd:v3.6.7-k3s1-build20260126", parse=Reference.parse,
)  # fmt: skip
_IMAGE_PATH = Text(what="a path in the image", pattern=rf"/?{words.BELOW}", example="/bin/etcd")
_STATIC = Field(
    kind=Flag(), default="true", doc="Programs among them must be fully static; checked, as the machine they are for."
)

WITNESS_FIELDS: Mapping[str, Field] = {
    "sha256": Field(kind=words.HEX, doc="What the file must be, as you know it; the lock records it in any case."),
    "key": Field(
        kind=Text(what="./path of a public key (PEM)", pattern=words.LOCAL, example="./keys/upstream.pub"),
        doc="Upstream's public key (ECDSA P-256 or Ed25519, as cosign and openssl write it): `sealift lock` then wants "
        "a signature that holds, and the lock names the key.",
    ),
    "signature": Field(
        kind=_URL,
        doc="The signature of the file, or of `sums` where that is said: its bytes, or their base64.",
    ),
    "sums": Field(
        kind=_URL, doc="A list of sha256 sums that names the file by the last part of its URL; compared when locked."
    ),
}
PLAIN_FIELD = Field(
    kind=Flag(),
    default="false",
    doc="true: http:// is allowed. Whoever is on the way sees what is fetched; other bytes than locked are refused.",
)
_VERSION = Field(
    kind=Text(what="a version", pattern=r"[A-Za-z0-9][A-Za-z0-9._+~-]{0,99}", example="v1.2.3"),
    doc="Its version: `$version` in its URLs and paths.",
)

URL_RECORD = Record(
    doc="A file from a URL, or files of the archive that it is (`.tar`, also `.gz`, `.xz`, `.zst`, `.bz2`; `.zip`). "
    "What it is today is recorded in the lock by `sealift lock`; other bytes are refused from then on.",
    fields={
        "url": Field(
            kind=_URL,
            doc="Where it is. Plain http only from this machine itself, or with `plain-http`. Redirects are followed, "
            "from https never to http; no credentials are sent.",
            required=True,
        ),
        "version": _VERSION,
        "files": Field(
            kind=ItemsOrTable(
                items=Items(of=words.ARCHIVED, least=1), table=Table(key=words.PROGRAM, value=words.ARCHIVED, least=1)
            ),
            doc="Paths in the archive, each kept by its last part, or name -> path. Without it the file itself is "
            "taken.",
        ),
        "as": Field(kind=words.PROGRAM, default="the last part of the URL", doc="The name of the file itself."),
        "executable": Field(kind=Flag(), default="false", doc="Mode 0755 instead of 0644, for the file itself."),
        "static": _STATIC,
        **WITNESS_FIELDS,
        "plain-http": PLAIN_FIELD,
    },
)
IMAGE_FILES_RECORD = Record(
    doc="Files out of a published container image, as RKE2 collects its runtime from images; nothing of it is run. "
    "The lock pins the platform's manifest; layers and whiteouts count as they do on a node.",
    fields={
        "image": Field(kind=_REFERENCE, doc="The image.", required=True),
        "files": Field(
            kind=ItemsOrTable(
                items=Items(of=_IMAGE_PATH, least=1), table=Table(key=words.PROGRAM, value=_IMAGE_PATH, least=1)
            ),
            doc="Paths in the image, each kept by its last part, or name -> path.",
            required=True,
        ),
        "static": _STATIC,
    },
)


def own_version(source: str) -> bool:
    """Whether a component's source leaves its version to the `version` key."""
    return source.startswith(("./", URL_SOURCE, "https://", "http://"))


def make_url(name: str, values: Values) -> UrlComponent:
    """One `url` entry -> its component, `$version` substituted."""
    version = str(values.get("version") or "")
    url = with_version(values["url"], version)
    return UrlComponent(
        name=name,
        url=url,
        version=version,
        kept=values.get("as") or last_part(url),
        files={file: PurePosixPath(path) for file, path in _named(values.get("files", {}), version).items()},
        mode=0o755 if values.get("executable") else 0o644,
        static=values.get("static", True),
        plain=values.get("plain-http", False),
        witness=make_witness(values, version),
    )


def make_witness(values: Values, version: str) -> Witness:
    """The witness keys of an entry -> the witness."""
    return Witness(
        sha256=Digest(values["sha256"]) if "sha256" in values else None,
        key=PurePosixPath(values["key"]) if "key" in values else None,
        signature=with_version(values.get("signature", ""), version),
        sums=with_version(values.get("sums", ""), version),
    )


def make_image_files(name: str, values: Values) -> ImageFilesComponent:
    """One `image` entry of components.yaml -> its component."""
    return ImageFilesComponent(
        name=name,
        reference=Reference.parse(values["image"]),
        files={file: PurePosixPath(path.lstrip("/")) for file, path in _named(values["files"], "").items()},
        static=values.get("static", True),
    )


def output_names(values: Values) -> list[str]:
    """The files of a `url` or `image` entry by name; the values may be half wrong."""
    files = values.get("files")
    if files is None and values.get("url"):
        return [name] if (name := values.get("as") or last_part(str(values["url"]))) else []
    return [PurePosixPath(name).name for name in files or () if name]


def check(name: str, values: Values, problem: Problem) -> None:
    """Adds what is wrong between the keys of a `url` entry, or of a `compile` entry whose source is a URL."""
    version = str(values.get("version") or "v0")
    for key in ("url", "compile", "signature", "sums"):
        text = str(values.get(key) or "").removeprefix(URL_SOURCE)
        if text.startswith(("http://", "https://")):
            check_url((name, key), with_version(text, version), values, problem)
            if _WORD.search(text) and "version" not in values:
                problem((name, key), "$version, but the component has no version", f"add `version: ...` to {name}")
    if "key" in values and "signature" not in values:
        problem((name, "key"), "a key, but nothing says where the signature is", "add `signature: https://...`")
    if "signature" in values and "key" not in values:
        problem((name, "signature"), "a signature, but nobody's key", "add `key: ./keys/upstream.pub`")
    if values.get("url"):
        _check_kept(name, values, problem)


def check_url(path: tuple[str, ...], url: str, values: Values, problem: Problem) -> None:
    """Adds what is wrong with a URL in which `$version` is put in already."""
    if _WORD.sub("", url).count("$"):
        problem(path, "only $version is known here", "write the text out")
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port
    except ValueError:
        problem(path, "not a URL", "")
        return
    if name := secret_parameter(url):
        problem(path, f"{name}= in its query: it would stand in the lock and in every bundle", "take an open address")
    if parts.scheme == "http" and not is_loopback(host) and not values.get("plain-http"):
        problem(path, "plain http: anybody on the way could answer", "write https://, or add `plain-http: true`")


def _check_kept(name: str, values: Values, problem: Problem) -> None:
    url = with_version(str(values["url"]), str(values.get("version") or "v0"))
    file = last_part(url)
    if "files" in values:
        for key in ("as", "executable"):
            if key in values:
                problem((name, key), "this is said of the file itself, but `files` takes files out of it", "remove it")
        if not file.lower().endswith(PACKED):
            problem((name, "files"), f"{file or 'it'} is no archive by its name", f"known: {', '.join(PACKED)}")
    elif "as" not in values and not re.fullmatch(words.PROGRAM.pattern, file):
        problem((name, "url"), "its last part is no file name", "add `as: NAME`")


def with_version(text: str, version: str) -> str:
    """The text with `$version` put in."""
    return _WORD.sub(lambda _: version, text)


def _named(paths: list[str] | Mapping[str, str], version: str) -> dict[str, str]:
    """A list of paths, or name -> path, -> name -> path with `$version` put in."""
    if isinstance(paths, Mapping):
        return {name: with_version(path, version) for name, path in paths.items()}
    return {PurePosixPath(made := with_version(path, version)).name: made for path in paths}
