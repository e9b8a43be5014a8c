"""Archives in agent/images: their outer tar, and the documents inside (bundle-format 6, foreign profile)."""

import json
import os
from collections.abc import Callable
from typing import Any

from bundles.errors import FormatError, MissingError, UsageError
from tests.hostile.corpus_model import Attack, Place, table
from tests.hostile.readers_under_attack import RUNTIME, extract, extract_any
from tests.hostile.rows_layers import Send, images, many_layers, put
from tests.support import tars
from tests.support.hostile import GOOD
from tests.support.tars import END, entry, folder, gnu_long, hardlink, header, member, pax, symlink, tar

LAYER = tar(GOOD)
IMAGE = tars.image(LAYER)
OTHER = tars.image(tar(GOOD, member("bin/other", b"x")))
ARM = tars.image(LAYER, arch="arm64")
Files = dict[str, bytes]


def inside(change: Callable[[Files], Any]) -> Send:
    """docker save's archive with its files changed."""

    def send(place: Place) -> object:
        files = tars.documents(IMAGE, [RUNTIME])
        change(files)
        return put(tars.archive(files))(place)

    return send


def edited(name: str, change: Callable[[Any], Any]) -> Send:
    """One JSON document changed as a value."""

    def edit(files: Files) -> None:
        value = json.loads(files[name])
        change(value)
        files[name] = tars.dump(value)

    return inside(edit)


def text(name: str, change: Callable[[bytes], bytes]) -> Send:
    """One document changed as bytes."""
    return inside(lambda files: files.update({name: change(files[name])}))


def with_config(**fields: Any) -> Send:
    """An image whose config says something else, digests and all."""
    image = tars.Image([LAYER], [LAYER], config=fields)
    return put(tars.new_docker(image, RUNTIME))


def manifest_of(change: Callable[[Any], Any]) -> Send:
    """The OCI manifest changed, index.json following it, manifest.json as it was."""

    def edit(files: Files) -> None:
        manifest = json.loads(IMAGE.manifest_bytes)
        change(manifest)
        data = tars.dump(manifest)
        del files[f"blobs/sha256/{tars.sha256(IMAGE.manifest_bytes)}"]
        files[f"blobs/sha256/{tars.sha256(data)}"] = data
        files["index.json"] = tars.dump({"schemaVersion": 2, "manifests": [entry(data, RUNTIME)]})

    return inside(edit)


def extra(*parts: bytes) -> Send:
    """Members before all others."""
    return put(b"".join(parts) + tars.new_docker(IMAGE, RUNTIME))


def _lone(place: Place, *archives: tuple[str, bytes]) -> None:
    for name, data in archives:
        put(data, name)(place)


def _special(make: Callable[[Any], object]) -> Send:
    return lambda place: make(images(place) / "runtime.tar")


def _resummed(block: bytes, at: int, field: bytes) -> bytes:
    """A header with one field changed, and the checksum that goes with it."""
    changed = bytearray(block[:at] + field + block[at + len(field) :])
    changed[148:156] = b" " * 8
    changed[148:156] = b"%06o\x00 " % sum(changed)
    return bytes(changed)


def _two_objects(files: Files) -> None:
    one, two = (json.loads(tars.documents(image, [RUNTIME])["manifest.json"])[0] for image in (IMAGE, OTHER))
    files["manifest.json"] = tars.dump([one, two])
    del files["index.json"]
    files |= {f"blobs/sha256/{tars.sha256(data)}": data for data in (OTHER.config_bytes, *OTHER.layers)}


CONFIG = f"blobs/sha256/{tars.sha256(IMAGE.config_bytes)}"
BLOB = f"blobs/sha256/{tars.sha256(LAYER)}"
WHOLE = tars.new_docker(IMAGE, RUNTIME)


def _nested(place: Place) -> None:
    files = tars.documents(IMAGE, [RUNTIME])
    inner = files["index.json"]
    for _ in range(6):
        files[f"blobs/sha256/{tars.sha256(inner)}"] = inner
        outer = {**entry(inner, RUNTIME), "mediaType": "application/vnd.oci.image.index.v1+json"}
        inner = tars.dump({"schemaVersion": 2, "manifests": [outer]})
    files["index.json"] = inner
    put(tars.archive(files))(place)


def _tags(place: Place) -> None:
    edited("manifest.json", lambda v: v[0].update(RepoTags=[f"a/b:v{n}" for n in range(20_001)]))(place)


def _objects(place: Place) -> None:
    edited("manifest.json", lambda v: v.extend(v * 2_001))(place)


TAR = table(
    "outer tar",
    extract,
    MissingError,
    {
        "name with ./": (put(tar(member("./manifest.json", b"[]"))), r"ambiguous name[\s\S]*do not begin with \./"),
        "name that climbs": (extra(member("../manifest.json", b"[]")), "climbs"),
        "absolute name": (extra(member("/etc/cron.d/x", b"x")), "absolute"),
        "name with //": (extra(member("blobs//x", b"x")), "ambiguous"),
        "empty name": (extra(member("", b"x")), "ambiguous"),
        "name with an escape sequence": (extra(member("\x1b[2Jx", b"x")), "control characters"),
        "name with a NUL inside": (extra(member(b"x\x00y", b"x")), "NUL inside"),
        "hard link": (extra(hardlink("x", "manifest.json")), "links and special files"),
        "character device": (extra(header("null", typeflag=b"3")), "links and special files"),
        "FIFO": (extra(header("pipe", typeflag=b"6")), "links and special files"),
        "link that leaves": (extra(symlink("x", "../../etc/passwd")), "a link that leaves"),
        "absolute link": (extra(symlink("x", "/etc/passwd")), "a link that leaves"),
        "sparse member of 1 TiB": (extra(pax({"GNU.sparse.realsize": str(1 << 40)}), member("x", b"x")), "sparse"),
        "old sparse member": (extra(header("x", typeflag=b"S")), "sparse"),
        "manifest.json twice": (extra(member("manifest.json", b"[]")), "one name twice"),
        "manifest.json twice, once as a folder": (extra(folder("manifest.json")), "one name twice"),
        "manifest.json twice, by a PAX name": (
            extra(pax({"path": "manifest.json"}), member("x", b"[]")),
            "one name twice",
        ),
        "manifest.json twice, by a GNU name": (extra(gnu_long(b"manifest.json"), member("x", b"[]")), "one name twice"),
        "manifest.json as a link": (
            put(tar(member("x", b"[]"), symlink("manifest.json", "x"))),
            "must be a regular file",
        ),
        "index.json as a folder": (put(tar(member("manifest.json", b"[]"), folder("index.json"))), "must be a regular"),
        "PAX size other than the header's": (extra(pax({"size": "0"}), member("x", b"y")), "two different sizes"),
        "PAX size of 4 EiB": (extra(pax({"size": str(1 << 62)}), member("x", b"y")), "truncated"),
        "PAX header of 8 MiB": (extra(header("p", size=8 << 20, typeflag=b"x")), "too large|truncated"),
        "global PAX name": (extra(pax({"path": "manifest.json"}, b"g")), "global"),
        "size in base 256, negative": (extra(header("x", size=b"\xff" * 12)), "malformed size"),
        "size in base 256, beyond any disk": (extra(header("x", size=b"\x80" + b"\x7f" * 11)), "malformed size"),
        "size with a sign": (extra(header("x", size=b"-0000000001\x00")), "malformed size"),
        "mode of octal garbage": (extra(_resummed(header("x"), 100, b"0000xyz\x00")), "malformed mode"),
        "checksum of another header": (extra(WHOLE[:148] + b"0000000\x00" + WHOLE[156:512]), "checksum"),
        "unknown member type": (extra(header("x", typeflag=b"V")), "unknown type"),
        "cut in the first header": (put(WHOLE[:300]), "truncated"),
        "cut between header and body": (put(WHOLE[:512]), "truncated"),
        "cut in a body": (put(WHOLE[:700]), "truncated"),
        "cut before the end marker": (put(WHOLE[: -len(END)]), "truncated"),
        "cut in the end marker": (put(WHOLE[:-512]), "truncated"),
        "empty file": (put(b""), "truncated"),
        "end marker alone": (put(END), "neither manifest.json nor index.json"),
        "bytes after the end": (put(WHOLE + b"x" * 512), "data after the end"),
        "second archive behind the first": (put(WHOLE + tars.new_docker(OTHER, RUNTIME)), "data after the end"),
        "two megabytes of zeros behind it": (put(WHOLE + bytes(2 << 20)), "too much after the end"),
        "one zero block in the middle": (put(WHOLE[:512] + bytes(512) + WHOLE[512:]), "zero|tar header|manifest"),
        "a folder of that name": (_special(lambda path: path.mkdir()), "no image"),
        "a FIFO of that name": (_special(os.mkfifo), "not a regular file"),
        "a link to a device": (_special(lambda path: path.symlink_to("/dev/zero")), "not a regular file"),
        "a link to nothing": (_special(lambda path: path.symlink_to("/nowhere")), "no such file"),
        "a link to itself": (_special(lambda path: path.symlink_to(path.name)), "cannot be opened"),
        "no archive at all": (put(b"hello" * 1000), "not a tar header"),
    },
)
DOCUMENTS = table(
    "two views, digests, sizes",
    extract,
    MissingError,
    {
        "config of another image in manifest.json": (
            edited("manifest.json", lambda v: v[0].update(Config=BLOB)),
            "not JSON|config",
        ),
        "config that is not there": (
            edited("manifest.json", lambda v: v[0].update(Config="blobs/sha256/" + "0" * 64)),
            "not in the archive",
        ),
        "config by a climbing path": (
            edited("manifest.json", lambda v: v[0].update(Config="../../etc/passwd")),
            "not in the archive",
        ),
        "layer by an absolute path": (
            edited("manifest.json", lambda v: v[0].update(Layers=["/etc/passwd"])),
            "not in the archive",
        ),
        "layer twice": (
            edited("manifest.json", lambda v: v[0].update(Layers=v[0]["Layers"] * 2)),
            "another number of layers",
        ),
        "no layers": (edited("manifest.json", lambda v: v[0].update(Layers=[])), "another number of layers"),
        "layers are text": (edited("manifest.json", lambda v: v[0].update(Layers="x")), "unexpected JSON"),
        "another name": (edited("manifest.json", lambda v: v[0].update(RepoTags=[RUNTIME + "x"])), "disagree"),
        "malformed tag": (
            edited("manifest.json", lambda v: v[0].update(RepoTags=["rancher/x:v1+2"])),
            "malformed RepoTags",
        ),
        "tag with an escape sequence": (
            edited("manifest.json", lambda v: v[0].update(RepoTags=["a/b:\x1b[2J"])),
            r"malformed RepoTags[\s\S]*\\x1b",
        ),
        "tag in look-alike letters": (
            edited("manifest.json", lambda v: v[0].update(RepoTags=["r\u0430ncher/rke2-runtime:v1"])),
            r"malformed RepoTags[\s\S]*\\u0430",
        ),
        "tag that is a digest": (
            edited("manifest.json", lambda v: v[0].update(RepoTags=["a/b@sha256:" + "0" * 64])),
            "malformed RepoTags",
        ),
        "tag without a tag": (
            edited("manifest.json", lambda v: v[0].update(RepoTags=["rancher/rke2-runtime"])),
            "malformed RepoTags",
        ),
        "name of 300 characters": (
            edited("manifest.json", lambda v: v[0].update(RepoTags=["a" * 300 + ":v1"])),
            "name too long",
        ),
        "LayerSources with another digest": (
            edited(
                "manifest.json",
                lambda v: v[0].update(
                    LayerSources={
                        f"sha256:{tars.sha256(LAYER)}": {
                            "mediaType": "x",
                            "digest": "sha256:" + "0" * 64,
                            "size": len(LAYER),
                        }
                    }
                ),
            ),
            "LayerSources and Layers disagree",
        ),
        "LayerSources with another size": (
            edited(
                "manifest.json",
                lambda v: v[0].update(
                    LayerSources={
                        f"sha256:{tars.sha256(LAYER)}": {
                            "mediaType": "x",
                            "digest": f"sha256:{tars.sha256(LAYER)}",
                            "size": 1,
                        }
                    }
                ),
            ),
            "LayerSources and Layers disagree",
        ),
        "513 layers": (many_layers, "too many layers"),
        "one tag for two images": (inside(_two_objects), "one tag for two images"),
        "index.json names nothing": (edited("index.json", lambda v: v.update(manifests=[])), "disagree"),
        "index.json names a blob that is not there": (
            edited("index.json", lambda v: v["manifests"][0].update(digest="sha256:" + "1" * 64)),
            "a blob that is not there",
        ),
        "index.json with another size": (
            edited("index.json", lambda v: v["manifests"][0].update(size=1)),
            "wrong size",
        ),
        "index.json with a negative size": (
            edited("index.json", lambda v: v["manifests"][0].update(size=-1)),
            "wrong size",
        ),
        "index.json with a size of 100 digits": (
            text("index.json", lambda data: data.replace(b'"size": ', b'"size": 1' + b"0" * 99)),
            "integer beyond 64 bits",
        ),
        "index.json with another name": (
            edited(
                "index.json",
                lambda v: v["manifests"][0]["annotations"].update({"io.containerd.image.name": RUNTIME + "x"}),
            ),
            "disagree",
        ),
        "index.json with a digest of another kind": (
            edited("index.json", lambda v: v["manifests"][0].update(digest="md5:" + "0" * 32)),
            "not a digest",
        ),
        "index.json with an upper-case digest": (
            edited("index.json", lambda v: v["manifests"][0].update(digest=v["manifests"][0]["digest"].upper())),
            "not a digest",
        ),
        "manifest of another schema": (manifest_of(lambda v: v.update(schemaVersion=1)), "unknown schema version"),
        "manifest with another config": (
            manifest_of(lambda v: v["config"].update(digest=f"sha256:{tars.sha256(LAYER)}", size=len(LAYER))),
            "not JSON|disagree|wrong digest",
        ),
        "manifest with another config size": (
            manifest_of(lambda v: v["config"].update(size=1)),
            "config with a wrong digest or size",
        ),
        "manifest with another layer size": (
            manifest_of(lambda v: v["layers"][0].update(size=1)),
            "blob with a wrong size",
        ),
        "manifest with another layer": (
            manifest_of(lambda v: v["layers"][0].update(digest="sha256:" + "3" * 64)),
            "disagree",
        ),
        "manifest with one layer more": (
            manifest_of(lambda v: v["layers"].append(v["layers"][0])),
            "another number of layers",
        ),
        "manifest without layers": (manifest_of(lambda v: v.pop("layers")), "missing required field"),
        "manifest that is not what its digest says": (
            inside(
                lambda files: files.update(
                    {
                        f"blobs/sha256/{tars.sha256(IMAGE.manifest_bytes)}": IMAGE.manifest_bytes.replace(
                            b"schema", b"Schema"
                        )
                    }
                )
            ),
            "wrong digest",
        ),
        "config that is not what its digest says": (
            inside(lambda files: files.update({CONFIG: OTHER.config_bytes})),
            "wrong digest",
        ),
        "config of another kind": (with_config(rootfs={"type": "base", "diff_ids": []}), "list of layers"),
        "config without diff ids": (with_config(rootfs={"type": "layers"}), "missing required field"),
        "config with an os that is a path": (with_config(os="../../etc"), "not a platform"),
        "config with an escape as its architecture": (with_config(architecture="\x1b[31m"), "not a platform"),
        "foreign layer with a URL, bytes absent": (
            manifest_of(
                lambda v: v["layers"][0].update(digest="sha256:" + "4" * 64, urls=["https://example.invalid/x"])
            ),
            "disagree",
        ),
        "indexes nested without end": (_nested, "too many indexes"),
        "tags without end": (_tags, "too many tags"),
        "images without end": (_objects, "too many images"),
        "document of 9 MiB": (
            inside(lambda files: files.update({"manifest.json": b"[" + b" " * (9 << 20) + b"]"})),
            "document too large",
        ),
    },
)
CONTENT = table(
    "two views, digests, sizes",
    extract,
    FormatError,
    {
        "layer that is not what its digest says": (
            inside(lambda files: files.update({BLOB: LAYER[:600] + b"x" + LAYER[601:]})),
            "digest",
        ),
        "layer with another diff id": (
            with_config(rootfs={"type": "layers", "diff_ids": ["sha256:" + "5" * 64]}),
            "diff id",
        ),
        "image for another machine": (put(tars.new_docker(ARM, RUNTIME)), "another platform"),
        "image for another system": (with_config(os="windows"), "another platform"),
        "one tag in two archives for two images": (
            lambda place: _lone(place, ("a.tar", WHOLE), ("b.tar", tars.new_docker(OTHER, RUNTIME))),
            "two images are called",
        ),
        "one tag in two archives for two platforms": (
            lambda place: _lone(place, ("a.tar", WHOLE), ("b.tar", tars.new_docker(ARM, RUNTIME))),
            "two images are called",
        ),
        "one tag spelled in two ways": (
            lambda place: _lone(
                place,
                ("a.tar", WHOLE),
                ("b.tar", tars.new_docker(OTHER, RUNTIME.replace("docker.io", "index.docker.io"))),
            ),
            "two images are called",
        ),
    },
)
AMBIGUOUS = table(
    "two views, digests, sizes",
    extract_any,
    UsageError,
    {
        "two runtime images and no name": (
            lambda place: _lone(
                place,
                ("a.tar", WHOLE),
                ("b.tar", tars.new_docker(OTHER, "evil.example/rancher/rke2-runtime:v1.34.4-rke2r1")),
            ),
            "several runtime images",
        ),
    },
)


ATTACKS: list[Attack] = TAR + DOCUMENTS + CONTENT + AMBIGUOUS
