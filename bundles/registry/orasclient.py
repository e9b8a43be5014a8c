"""The Python library oras with a client that checks: the extra `sealift[oras]`, for programs that are written for oras.

oras itself compares no digest, unpacks what it was sent without a filter, keeps a cut file under its final name, shows
one registry's token to the next, and waits for ever. Here its own requests are ours: credentials by host and
repository, patience, TLS, redirects; and what it calls a manifest or a file has the digest it was asked by.
"""

import json
from pathlib import Path
from typing import Any, Final

import oras.container
import oras.defaults
import oras.provider
import requests

from bundles.digest import Digest
from bundles.errors import FormatError, LimitError, UsageError
from bundles.files import make_folders, pwrite_all
from bundles.reference import DEFAULT_DOMAIN
from bundles.region import open_region
from bundles.registry import artifact
from bundles.registry.client import HttpRegistry, Settings
from bundles.registry.documents import (
    MAX_MANIFEST,
    TITLE,
    Document,
    RemoteDescriptor,
    read_document,
    read_index,
    read_manifest,
)
from bundles.registry.memory import in_memory
from bundles.registry.place import HUB_NAMES, Endpoint, Repository
from bundles.registry.session import Ask, no_check
from bundles.registry.timing import Timing
from bundles.registry.tokens import PULL, PUSH
from bundles.registry.wholefile import whole_file

_MAX_BLOB: Final = 16 << 20  # bytes of a blob that oras wants in memory
_PARTS: Final = (oras.defaults.default_blob_dir_media_type,)


class VerifiedRegistry(oras.provider.Registry):  # type: ignore[misc] # it has no types
    """`oras.provider.Registry` as oras documents it, for one thread; `close` it.

    What oras has and this has not: `login` (credentials are docker's and podman's files), and folders, which arrive as
    archives of anybody's names. Errors are SealiftErrors.
    """

    def __init__(self, settings: Settings, timing: Timing) -> None:
        """Nothing is asked yet."""
        super().__init__(auth_backend="basic")
        self._ours = HttpRegistry(settings, timing)
        self._ways = settings.ways

    def close(self) -> None:
        """Ends idle connections."""
        self._ours.close()
        self.session.close()

    def document(self, container: Any) -> Document:
        """The manifest or index that a name stands for, its bytes as they are."""
        name = self.get_container(container)
        return self._ours.manifest(_repository(name), name.digest or name.tag, no_check)

    def get_manifest(
        self, container: Any, allowed_media_type: Any = None, validation_schema: Any = None
    ) -> dict[str, Any]:
        """The manifest as a dict; of a bundle that `sealift push` put there, the one with the files."""
        name = self.get_container(container)
        document = self.document(name)
        if document.is_index:
            listed = artifact.own_manifest(read_index(document, where=name), where=name)
            document = self._ours.manifest(_repository(name), str(listed.digest), no_check)
        if allowed_media_type and document.media_type not in allowed_media_type:
            raise FormatError("another kind of manifest", where=name, got=document.media_type, want=allowed_media_type)
        found: dict[str, Any] = json.loads(document.data)
        return found

    def pull(
        self, target: str, config_path: Any = None, allowed_media_type: Any = None, overwrite: bool = True,
        outdir: str | None = None,
    ) -> list[str]:  # fmt: skip
        """Writes the manifest's files below `outdir`, whole or not at all; returns their paths."""
        if outdir is None:
            raise UsageError("where to? say outdir")
        name = self.get_container(target)
        data = json.dumps(self.get_manifest(name, allowed_media_type)).encode()
        manifest = read_manifest(read_document(data, None, where=name), where=name)
        return [path for layer in manifest.layers if (path := self._pull_file(name, layer, Path(outdir), overwrite))]

    def download_blob(self, container: Any, digest: str, outfile: str) -> str:
        """A blob of a file; `outfile` appears when all of it was right."""
        name = self.get_container(container)
        self._write(_repository(name), Digest.parse(digest), self._size(name, digest), Path(outfile))
        return outfile

    def get_blob(self, container: Any, digest: str, stream: bool = False, head: bool = False) -> requests.Response:
        """A small blob in memory; with `head` whether it is there."""
        name = self.get_container(container)
        place, wanted = _repository(name), Digest.parse(digest)
        if head:
            return _response(200 if self._ours.has_blob(place, wanted, no_check) else 404, b"")
        size = self._size(name, digest)
        if size > _MAX_BLOB:
            hint = "download_blob writes it to a file"
            raise LimitError("too large for memory", where=name, got=f"{size} bytes", want=f"<= {_MAX_BLOB}", hint=hint)
        return _response(200, in_memory(self._ours, place, wanted, size))

    def blob_exists(self, layer: Any, container: Any) -> bool:
        """Whether the repository has a layer."""
        place = _repository(self.get_container(container))
        return self._ours.has_blob(place, Digest.parse(layer["digest"]), no_check)

    def upload_blob(
        self, blob: str, container: Any, layer: Any, do_chunked: bool = False, chunk_size: int = 0
    ) -> requests.Response:
        """Puts a file there unless it is, in pieces when it is large."""
        place, digest = _repository(self.get_container(container)), Digest.parse(layer["digest"])
        with open_region(blob) as region:
            sent = self._ours.push_blob(
                place, digest, region.size, lambda offset: region.chunks(offset, region.size - offset), no_check
            )
        return _response(201 if sent else 200, b"")

    def upload_manifest(self, manifest: Any, container: Any) -> requests.Response:
        """Puts a manifest or an index under the container's tag, as compact JSON."""
        name = self.get_container(container)
        data = json.dumps(manifest, separators=(",", ":")).encode()
        kind = manifest.get("mediaType") or oras.defaults.default_manifest_media_type
        document = read_document(data, kind, where=name)
        self._ours.push_manifest(_repository(name), name.digest or name.tag, document, no_check)
        answer = _response(201, b"")
        answer.headers["Docker-Content-Digest"] = str(document.digest)
        return answer

    def do_request(
        self, url: str, method: str = "GET", data: Any = None, headers: Any = None, json: Any = None,
        stream: bool = False,
    ) -> requests.Response:  # fmt: skip
        """What else oras asks for (tags): at most 4 MiB, with our credentials and patience."""
        host, _, path = url.partition("://")[2].partition("/v2/")
        repository = Repository(host=host, path=path.rpartition("/")[0].removesuffix("/tags"))
        endpoint = self._ways.to_push(repository)
        ask = Ask(
            method=method, url=f"{endpoint.origin}{endpoint.root}/{path}", where=str(repository),
            ok=(200, 201, 202, 204, 404), actions=PULL if method in ("GET", "HEAD") else PUSH,
        )  # fmt: skip
        if data is not None or json is not None:
            raise UsageError("oras sends this by other means here", where=url)
        return self._ask(endpoint, ask)

    def login(self, *words: Any, **more: Any) -> dict[str, Any]:
        """Not here."""
        hint = "docker login or podman login, or a file in REGISTRY_AUTH_FILE"
        raise UsageError("this client keeps no passwords", hint=hint)

    def _ask(self, endpoint: Endpoint, ask: Ask) -> requests.Response:
        answer = self._ours.session.request(endpoint, ask)
        try:
            made = _response(answer.status, answer.read(MAX_MANIFEST))
        finally:
            answer.close()
        for name in ("Link", "Content-Type"):
            if (value := answer.header(name)) is not None:
                made.headers[name] = value
        return made

    def _pull_file(self, name: Any, layer: RemoteDescriptor, folder: Path, overwrite: bool) -> str | None:
        title = layer.annotations.get(TITLE) or layer.digest.hex
        if layer.media_type in _PARTS:
            raise FormatError("a folder, packed", where=name, got=ascii(title[:100]), hint="download_blob, and look")
        target = folder / artifact.checked_path(title, where=name)
        if target.exists() and not overwrite:
            return None
        self._write(_repository(name), layer.digest, layer.size, target)
        return str(target)

    def _size(self, name: Any, digest: str) -> int:
        """A blob's size by the registry's word; that it is so, its digest shows."""
        endpoint = self._ways.to_pull(_repository(name))[0]
        ask = Ask(method="HEAD", url=endpoint.url(f"blobs/{digest}"), where=f"{endpoint}: {digest}")
        answer = self._ours.session.request(endpoint, ask)
        answer.close()
        if answer.length is None:
            raise FormatError("the registry does not say how large it is", where=ask.where)
        return answer.length

    def _write(self, place: Repository, digest: Digest, size: int, target: Path) -> None:
        make_folders(target.parent)
        with whole_file(target) as fd:
            self._ours.fetch(place, digest, size, lambda data, at: pwrite_all(fd, data, at), no_check)


def _repository(name: Any) -> Repository:
    host = DEFAULT_DOMAIN if name.registry in HUB_NAMES else name.registry
    return Repository(host=host, path=name.api_prefix)


def _response(status: int, data: bytes) -> requests.Response:
    made = requests.Response()
    made.status_code = status
    made._content = data
    return made
