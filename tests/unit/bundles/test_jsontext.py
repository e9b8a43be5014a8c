"""Strict JSON: everything that two readers could understand differently is refused."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bundles import index, jsontext, oci
from bundles.errors import FormatError, LimitError

DIGEST = "sha256:" + "ab" * 32
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 63) - 1) | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=20,
)


@given(PLAIN)
def test_canonical_bytes_read_back_and_write_again_the_same(value: object) -> None:
    data = jsontext.encode_canonical(value)
    assert jsontext.decode_plain(data, where="t") == value
    assert jsontext.encode_canonical(jsontext.decode_plain(data, where="t")) == data


def test_canonical_form() -> None:
    assert jsontext.encode_canonical({"b": 1, "a": ["é", None]}) == '{"a":["é",null],"b":1}\n'.encode()


def test_floats_are_not_written() -> None:
    with pytest.raises(TypeError):
        jsontext.encode_canonical({"a": 1.5})


@pytest.mark.parametrize(
    "data",
    [
        b'{"a":1,"a":2}',
        b'{"a":{"b":1,"b":1}}',
        b'{"a":NaN}',
        b"[Infinity]",
        b"[1e999]",
        b'["\\ud800"]',
        b'{"\\uDC00\\ud800":1}',
        b"{} {}",
        b"{}x",
        b"",
        '{"a":1}'.encode("utf-16"),
        b'\xef\xbb\xbf{"a":1}',
        b'{"a":"\xff"}',
        b"{'a':1}",
    ],
)
def test_json_that_splits_readers_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        jsontext.decode_plain(data, where="t")


def test_depth_and_size_are_bounded_before_parsing() -> None:
    with pytest.raises(LimitError, match="deep"):
        jsontext.decode_plain(b"[" * 100_000 + b"]" * 100_000, where="t")
    with pytest.raises(LimitError, match="large"):
        jsontext.decode_plain(b"[]" + b" " * 100, where="t", max_size=10)


def test_brackets_in_strings_are_not_depth() -> None:
    text = json.dumps({"a": "[" * 1000 + '"' + "{" * 1000})
    assert jsontext.decode_plain(text.encode(), where="t")["a"].count("[") == 1000


@pytest.mark.parametrize("key", ["mediatype", "MediaType", "DIGEST"])
def test_a_field_in_another_case_is_refused(key: str) -> None:
    document = {"mediaType": "x", "digest": DIGEST, "size": 1, key: "y"}
    with pytest.raises(FormatError, match="wrong case"):
        jsontext.decode(json.dumps(document).encode(), oci.Descriptor, where="t")


@pytest.mark.parametrize(
    "change",
    [{"size": "1"}, {"size": 1.0}, {"size": True}, {"digest": "sha256:00"}, {"digest": 5}, {"annotations": {"a": 1}}],
)
def test_wrong_types_are_refused(change: dict[str, object]) -> None:
    document = {"mediaType": "x", "digest": DIGEST, "size": 1, **change}
    with pytest.raises(FormatError, match="unexpected JSON"):
        jsontext.decode(json.dumps(document).encode(), oci.Descriptor, where="t")


def test_an_unknown_major_format_is_its_own_error() -> None:
    with pytest.raises(FormatError, match="unknown bundle format"):
        index.decode(b'{"format":"2.0","surprise":1}\n')


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert jsontext.decode_plain(b'["\\ud83d\\ude00"]', where="t") == ["\U0001f600"]


@pytest.mark.parametrize("value", [b"1.5", b"1e999", b'"\\ud800"'])
def test_an_index_that_could_not_be_written_again_is_refused(value: bytes) -> None:
    with pytest.raises(FormatError):
        index.decode(b'{"format":"1.0","x":' + value + b"}\n")


def test_an_index_that_is_not_canonical_is_refused() -> None:
    with pytest.raises(FormatError, match="not canonical"):
        index.decode(b'{ "format":"1.0"}\n')
