"""Small helpers between decompression and its users."""

from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor


def ahead(pieces: Iterator[bytes]) -> Generator[bytes, None, None]:
    """The same pieces, the next one being made on another thread while the caller works on this one."""
    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as pool:
        future = pool.submit(next, pieces, None)
        try:
            while (piece := future.result()) is not None:
                future = pool.submit(next, pieces, None)
                yield piece
        finally:
            future.cancel()
