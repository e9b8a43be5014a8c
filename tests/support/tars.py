"""Tars, layers and image archives written byte by byte, so that they can be wrong in any way."""

import gzip
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

END = bytes(1024)
ELF_AMD64 = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\x3e\x00" + bytes(44)
ELF_ARM64 = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\xb7\x00" + bytes(44)


def header(
    name: str | bytes,
    *,
    size: int | bytes = 0,
    mode: int = 0o644,
    typeflag: bytes = b"0",
    link: str | bytes = "",
    magic: bytes = b"ustar\x0000",
    prefix: bytes = b"",
) -> bytes:
    """One header block with a right checksum, whatever it says."""
    raw = name if isinstance(name, bytes) else name.encode()
    target = link if isinstance(link, bytes) else link.encode()
    length = size if isinstance(size, bytes) else b"%011o\x00" % size
    block = bytearray(512)
    for at, value in (
        (0, raw[:100]),
        (100, b"%07o\x00" % mode),
        (108, b"0000000\x000000000\x00"),
        (124, length),
        (136, b"00000000000\x00"),
        (148, b" " * 8),
        (156, typeflag),
        (157, target[:100]),
        (257, magic),
        (345, prefix),
    ):
        block[at : at + len(value)] = value
    block[148:156] = b"%06o\x00 " % sum(block)
    return bytes(block)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def member(name: str | bytes, body: bytes = b"", **fields: Any) -> bytes:
    """A regular file (or what `fields` say) with its body."""
    return header(name, size=len(body), **fields) + padded(body)


def folder(name: str) -> bytes:
    return header(name + "/", typeflag=b"5", mode=0o755)


def symlink(name: str, target: str) -> bytes:
    return header(name, typeflag=b"2", link=target, mode=0o777)


def hardlink(name: str, target: str) -> bytes:
    return header(name, typeflag=b"1", link=target)


def pax(records: Mapping[str, str | bytes], typeflag: bytes = b"x") -> bytes:
    """A PAX extended header."""
    body = b""
    for key, value in records.items():
        raw = b" " + key.encode() + b"=" + (value if isinstance(value, bytes) else value.encode()) + b"\n"
        length = len(raw) + 1
        while len(str(length)) + len(raw) != length:
            length += 1
        body += str(length).encode() + raw
    return member("PaxHeaders/x", body, typeflag=typeflag)


def gnu_long(text: bytes, typeflag: bytes = b"L") -> bytes:
    return member("././@LongLink", text + b"\x00", typeflag=typeflag, magic=b"ustar  \x00")


def tar(*parts: bytes) -> bytes:
    return b"".join(parts) + END


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def dump(value: object) -> bytes:
    return json.dumps(value).encode()


@dataclass
class Image:
    """An image as its documents: `layers` stored, `contents` uncompressed; change `config` to lie."""

    layers: Sequence[bytes]
    contents: Sequence[bytes]
    arch: str = "amd64"
    media: str = "application/vnd.oci.image.layer.v1.tar"
    config: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        diff_ids = [f"sha256:{sha256(content)}" for content in self.contents]
        basic = {"architecture": self.arch, "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}}
        self.config = {**basic, **self.config}

    @property
    def config_bytes(self) -> bytes:
        return dump(self.config)

    @property
    def manifest_bytes(self) -> bytes:
        def described(media: str, data: bytes) -> dict[str, Any]:
            return {"mediaType": media, "digest": f"sha256:{sha256(data)}", "size": len(data)}

        return dump(
            {
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": described("application/vnd.oci.image.config.v1+json", self.config_bytes),
                "layers": [described(self.media, layer) for layer in self.layers],
            }
        )


def image(*contents: bytes, arch: str = "amd64", compress: str = "") -> Image:
    """An image of uncompressed or gzip layers."""
    layers = [gzip.compress(content, 1, mtime=0) if compress == "gzip" else content for content in contents]
    return Image(layers, contents, arch)


def old_docker(image: Image, tags: Sequence[str] | None) -> bytes:
    """docker save before 25: HEX.json, HEX/layer.tar, repositories; a repeated layer is a link to the first."""
    names: list[str] = []
    parts: list[bytes] = []
    first: dict[str, str] = {}
    for number, layer in enumerate(image.layers):
        ident = sha256(b"v1 id %d" % number)
        digest = sha256(layer)
        parts += [folder(ident), member(f"{ident}/VERSION", b"1.0"), member(f"{ident}/json", b"{}")]
        if digest in first:
            parts.append(symlink(f"{ident}/layer.tar", f"../{first[digest]}/layer.tar"))
        else:
            first[digest] = ident
            parts.append(member(f"{ident}/layer.tar", layer))
        names.append(f"{ident}/layer.tar")
    config = f"{sha256(image.config_bytes)}.json"
    manifest = dump([{"Config": config, "RepoTags": tags, "Layers": names}])
    parts += [
        member(config, image.config_bytes),
        member("manifest.json", manifest),
        member("repositories", b"{}"),
    ]
    return tar(*parts)


def documents(image: Image, names: Sequence[str], *, docker: bool = True, layout: bool = True) -> dict[str, bytes]:
    """The files of an archive with both views, as docker 25+ writes it: blobs/sha256 for everything."""
    files = {f"blobs/sha256/{sha256(data)}": data for data in (image.config_bytes, *image.layers)}
    manifest = image.manifest_bytes
    if layout:
        files[f"blobs/sha256/{sha256(manifest)}"] = manifest
        files["oci-layout"] = b'{"imageLayoutVersion":"1.0.0"}'
        files["index.json"] = dump({"schemaVersion": 2, "manifests": [entry(manifest, name) for name in names]})
    if docker:
        layers = [f"blobs/sha256/{sha256(layer)}" for layer in image.layers]
        config = f"blobs/sha256/{sha256(image.config_bytes)}"
        files["manifest.json"] = dump([{"Config": config, "RepoTags": list(names), "Layers": layers}])
    return files


def entry(manifest: bytes, name: str) -> dict[str, Any]:
    return {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": f"sha256:{sha256(manifest)}",
        "size": len(manifest),
        "annotations": {"io.containerd.image.name": name},
    }


def archive(files: Mapping[str, bytes] | Iterable[tuple[str, bytes]]) -> bytes:
    """A tar of these files, in this order."""
    pairs = files.items() if isinstance(files, Mapping) else files
    return tar(*(member(name, data) for name, data in pairs))


def new_docker(image: Image, *names: str) -> bytes:
    """docker save since 25."""
    return archive(documents(image, names))
