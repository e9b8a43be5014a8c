"""What a bundle or a sealed archive says of itself, without checking it: values for `--json`, and a page to read.

Only the documents are read (bundle.json; an archive's JSON members), never a layer, so this is fast at any size.
"""

from pathlib import Path
from typing import Any

from bundles import index, jsontext, oci
from bundles.errors import FormatError
from bundles.index import BundleIndex
from bundles.region import Region, open_region
from bundles.talk import human_bytes
from bundles.ustar import BLOCK, parse

_MAX_JSON_MEMBERS = 4096
_BLOBS = "blobs/sha256/"


def inspect(path: Path) -> dict[str, Any]:
    """A bundle's folder, a `.sealift` file or a sealed archive -> JSON-able values with a `kind`.

    `{"kind": "bundle", ...}` holds the index as it is, with sums; `{"kind": "archive", ...}` the images of the archive.
    Raises FormatError, MissingError.
    """
    if path.is_dir() or path.suffix != ".tar":
        return inspect_bundle(read_index(path), where=path)
    return inspect_archive(path)


def read_index(path: Path) -> BundleIndex:
    """The index of a bundle's folder or `.sealift` file, parsed strictly; no digest and no signature is checked."""
    if path.is_dir():
        with open_region(path / index.INDEX_NAME, follow=False) as region:
            return _decode_index(region)
    with open_region(path) as region:
        header = parse(region.read(0, BLOCK))
        if header.name != index.INDEX_NAME:
            raise FormatError("not a packed bundle", where=path, got=header.name, want=index.INDEX_NAME)
        return _decode_index(region.part(BLOCK, header.size, f"{path}: {index.INDEX_NAME}"))


def inspect_bundle(document: BundleIndex, *, where: Path) -> dict[str, Any]:
    """An index -> values."""
    plain: dict[str, Any] = jsontext.decode_plain(index.encode(document), where=where)
    archives = [
        {name: value for name, value in archive.items() if name != "blobs"} | {"blobs": len(archive["blobs"])}
        for archive in plain["archives"]
    ]
    size = sum(file["size"] for file in [*plain["archives"], *plain["files"]])
    return {"kind": "bundle", "bundle": where.name, "size": size, **plain, "archives": archives}


def inspect_archive(path: Path) -> dict[str, Any]:
    """A sealed archive -> values: images with platform, layers (media type, size) and what they run."""
    with open_region(path) as region:
        members = _json_members(region, path)
        layout = jsontext.decode(members.get("index.json", b""), oci.Index, where=f"{path}: index.json")
        images = [_image(descriptor, members, path) for descriptor in layout.manifests]
        return {"kind": "archive", "archive": path.name, "size": region.size, "images": images}


def render(seen: dict[str, Any]) -> str:
    """The values of `inspect` -> lines to read."""
    return "\n".join(_bundle_lines(seen) if seen["kind"] == "bundle" else _archive_lines(seen))


def _decode_index(region: Region) -> BundleIndex:
    if region.size > index.MAX_INDEX:
        raise FormatError("index too large", where=region.where, got=f"{region.size} bytes", want=index.MAX_INDEX)
    return index.decode(region.read(0, region.size), where=region.where)


def _json_members(region: Region, path: Path) -> dict[str, bytes]:
    """The members before the first layer: the format puts all JSON first, and a layer is never JSON."""
    members: dict[str, bytes] = {}
    offset = 0
    while len(members) < _MAX_JSON_MEMBERS:
        header = parse(region.read(offset, BLOCK))
        body = region.read(offset + BLOCK, min(header.size, 1))
        if header.size > jsontext.MAX_DOCUMENT or body not in (b"{", b"["):
            break
        members[header.name] = region.read(offset + BLOCK, header.size)
        offset += BLOCK + -(-header.size // BLOCK) * BLOCK
    if "index.json" not in members:
        raise FormatError("not a sealed archive: no index.json among its first members", where=path)
    return members


def _image(descriptor: oci.Descriptor, members: dict[str, bytes], path: Path) -> dict[str, Any]:
    manifest = jsontext.decode(_blob(descriptor, members, path), oci.Manifest, where=f"{path}: {descriptor.digest}")
    config_bytes = _blob(manifest.config, members, path)
    config = jsontext.decode(config_bytes, oci.ImageConfig, where=f"{path}: {manifest.config.digest}")
    layers = [
        {"digest": str(layer.digest), "size": layer.size, "media_type": layer.media_type} for layer in manifest.layers
    ]
    runs = config.config or oci.ContainerConfig()
    return {
        "reference": descriptor.annotations.get(oci.ANNOTATION_IMAGE_NAME, ""),
        "digest": str(descriptor.digest),
        "config": str(manifest.config.digest),
        "platform": "/".join(word for word in (config.os, config.architecture, config.variant) if word),
        "user": runs.User,
        "entrypoint": runs.Entrypoint or [],
        "layers": layers,
    }


def _blob(descriptor: oci.Descriptor, members: dict[str, bytes], path: Path) -> bytes:
    try:
        return members[_BLOBS + descriptor.digest.hex]
    except KeyError as exc:
        raise FormatError("blob missing among the JSON members", where=path, want=descriptor.digest) from exc


def _bundle_lines(seen: dict[str, Any]) -> list[str]:
    lines = [
        f"{seen['name']} {seen['version']} ({seen['flavour']}, sequence {seen['sequence']}) for {seen['platform']}",
        f"  {human_bytes(seen['size'])} in {len(seen['archives'])} archives; lock {seen['lock']['sha256']}",
        f"  runtime   {seen['runtime']['reference']}",
        f"            {seen['runtime']['digest']}",
        f"            data directory {seen['runtime']['key']}",
    ]
    for archive in seen["archives"]:
        lines.append(f"  archive   {archive['path']}  {human_bytes(archive['size'])}, {archive['blobs']} blobs")
        images = [image for image in seen["images"] if image["archive"] == archive["path"]]
        lines += [f"    image   {image['reference']}  {image['digest']}" for image in images]
    lines += [f"  chart     {chart['name']} {chart['version']}" for chart in seen["charts"]]
    return lines


def _archive_lines(seen: dict[str, Any]) -> list[str]:
    lines = [f"{seen['archive']}: {human_bytes(seen['size'])}"]
    for image in seen["images"]:
        lines += [f"  image     {image['reference']}  {image['platform']}", f"            {image['digest']}"]
        lines += [
            f"    layer   {layer['digest']}  {human_bytes(layer['size'])}  {layer['media_type'].rpartition('.')[2]}"
            for layer in image["layers"]
        ]
    return lines
