"""Compressed frames of earlier builds, in the store: `frames/<key>.json` names the blob that holds them."""

from builder.store import Store
from bundles import jsontext
from bundles.errors import FormatError
from bundles.files import write_atomic
from bundles.layers.model import BodyFrames, FrameKey


class StoreFrames:
    """The FrameCache of `bundles.layers` over a store."""

    def __init__(self, store: Store) -> None:
        """Takes the store that also holds the blobs."""
        self._store = store

    def get(self, key: FrameKey) -> BodyFrames | None:
        """The frames of a body, only if their blob is stored whole; a damaged note counts as none."""
        path = self._store.frames / f"{key}.json"
        try:
            found = BodyFrames.from_plain(jsontext.decode_plain(path.read_bytes(), where=path))
        except (FileNotFoundError, FormatError, KeyError, TypeError, ValueError):
            return None
        return found if self._store.has(found.blob, found.size) else None

    def put(self, key: FrameKey, frames: BodyFrames) -> None:
        """Remembers frames whose blob is stored."""
        write_atomic(self._store.frames / f"{key}.json", jsontext.encode_canonical(frames.to_plain()))
