"""Archives as docker writes them, with something wrong in them."""

import json
from collections.abc import Callable
from typing import Any

from tests.hostile.corpus_model import Place
from tests.hostile.readers_under_attack import RUNTIME
from tests.hostile.rows_layers import Send, images, put
from tests.support import tars
from tests.support.hostile import GOOD
from tests.support.tars import entry, member, tar

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


def lone(place: Place, *archives: tuple[str, bytes]) -> None:
    for name, data in archives:
        put(data, name)(place)


def special(make: Callable[[Any], object]) -> Send:
    return lambda place: make(images(place) / "runtime.tar")


def resummed(block: bytes, at: int, field: bytes) -> bytes:
    """A header with one field changed, and the checksum that goes with it."""
    changed = bytearray(block[:at] + field + block[at + len(field) :])
    changed[148:156] = b" " * 8
    changed[148:156] = b"%06o\x00 " % sum(changed)
    return bytes(changed)


def two_objects(files: Files) -> None:
    one, two = (json.loads(tars.documents(image, [RUNTIME])["manifest.json"])[0] for image in (IMAGE, OTHER))
    files["manifest.json"] = tars.dump([one, two])
    del files["index.json"]
    files |= {f"blobs/sha256/{tars.sha256(data)}": data for data in (OTHER.config_bytes, *OTHER.layers)}


CONFIG = f"blobs/sha256/{tars.sha256(IMAGE.config_bytes)}"
BLOB = f"blobs/sha256/{tars.sha256(LAYER)}"
WHOLE = tars.new_docker(IMAGE, RUNTIME)


def nested(place: Place) -> None:
    files = tars.documents(IMAGE, [RUNTIME])
    inner = files["index.json"]
    for _ in range(6):
        files[f"blobs/sha256/{tars.sha256(inner)}"] = inner
        outer = {**entry(inner, RUNTIME), "mediaType": "application/vnd.oci.image.index.v1+json"}
        inner = tars.dump({"schemaVersion": 2, "manifests": [outer]})
    files["index.json"] = inner
    put(tars.archive(files))(place)


def tags(place: Place) -> None:
    edited("manifest.json", lambda v: v[0].update(RepoTags=[f"a/b:v{n}" for n in range(20_001)]))(place)


def objects(place: Place) -> None:
    edited("manifest.json", lambda v: v.extend(v * 2_001))(place)
