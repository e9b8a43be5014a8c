"""Targets that try several readers: the first byte of an input says which."""

from collections.abc import Callable, Iterable, Mapping

Reader = Callable[[bytes], bool]


def by_first_byte(readers: Mapping[str, Reader]) -> Reader:
    """Readers by name -> one that gives the rest of its input to the reader that the first byte names."""
    listed = list(readers.values())

    def read(data: bytes) -> bool:
        return bool(data) and listed[data[0] % len(listed)](data[1:])

    return read


def seeds(readers: Mapping[str, Reader], examples: Mapping[str, Iterable[bytes]]) -> Iterable[bytes]:
    """Examples by the reader's name -> inputs; a reader without any is a mistake."""
    for number, name in enumerate(readers):
        for example in examples[name]:
            yield bytes([number]) + example
