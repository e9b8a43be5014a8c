"""Hashes of node passwords are those of k3s."""

import pytest

from bundles.errors import FormatError
from runtime.supervisor import hashes

# Made with Go's scrypt package (N 2^15, r 8, p 1, 64 bytes) in k3s' form; salt 0102030405060708.
PASSWORD = "correct horse"


def test_a_hash_has_k3s_form_and_matches() -> None:
    stored = hashes.make(PASSWORD, bytes(range(1, 9)))
    assert stored.startswith("$1:0102030405060708:15:8:1:") and "=" not in stored
    assert hashes.matches(stored, PASSWORD)
    assert not hashes.matches(stored, PASSWORD + " ")


def test_another_salt_is_another_hash() -> None:
    assert hashes.make(PASSWORD, b"12345678") != hashes.make(PASSWORD, b"12345679")


@pytest.mark.parametrize(
    "stored",
    ["", "$2:0102:15:8:1:AAAAAAAAAAAAAAAAAAAAAA", "$1:0102:99:8:1:AAAAAAAAAAAAAAAAAAAAAA",
     "$1:0102:15:99:1:AAAAAAAAAAAAAAAAAAAAAA", "$1:0102:0:8:1:AAAAAAAAAAAAAAAAAAAAAA",
     "$1:0102:15:8:16:AAAAAAAAAAAAAAAAAAAAAA", "plain"],
)  # fmt: skip
def test_a_stored_hash_that_would_cost_gigabytes_is_refused(stored: str) -> None:
    with pytest.raises(FormatError):
        hashes.matches(stored, PASSWORD)
