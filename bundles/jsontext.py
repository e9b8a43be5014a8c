"""JSON, strictly both ways.

Writing: canonical JSON (bundle-format 4): UTF-8, keys sorted by code point, no blanks, integers only, no escapes but
the mandatory ones, one newline at the end.

Reading: what splits parsers is refused before types are converted. Go's readers match field names without regard to
case and take the last of two; Python's accept NaN, UTF-16 and any depth; msgspec alone accepts duplicate keys. So:
UTF-8 without BOM, no duplicate keys, no key that differs from a known field only in case, no NaN or infinity (also not
as 1e999), no half of a surrogate pair (Go reads U+FFFD), no integer beyond 64 bits, bounded depth, size and number of
values (`[],` thirty million times is thirty million objects), nothing after the value.
"""

import functools
import json
import math
import re
from typing import Any, TypeVar

import msgspec

from bundles.digest import Digest
from bundles.errors import FormatError, LimitError, SealiftError

T = TypeVar("T")
MAX_DEPTH = 32
MAX_DOCUMENT = 8 << 20  # bytes, four times that in memory; the largest index seen for 400 images is below 4 MiB
MAX_VALUES = 500_000  # commas and brackets: each stands for an object in memory, of some 100 bytes or twice that
# Strings, and all else that is no bracket. Possessive, and never failing behind a quote: linear for any input.
_NO_BRACKETS = re.compile(rb'"(?:[^"\\]++|\\.?)*+"?|[^"\[\]{}]++', re.DOTALL)
_LARGEST = 1 << 63
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def encode_canonical(value: object) -> bytes:
    """A msgspec struct or plain value -> canonical bytes with one newline; None fields are left out.

    Raises TypeError for floats (a bug of ours: the format has integers only).
    """
    plain = msgspec.to_builtins(value, enc_hook=_encode_hook)
    _refuse_floats(plain)
    text = json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode() + b"\n"


def decode(data: bytes, type_: type[T], *, where: object, max_size: int = MAX_DOCUMENT) -> T:
    """Bytes -> a value of `type_` (a msgspec struct or typing construct); unknown fields are ignored.

    Raises FormatError (with `where`) for anything that two JSON readers could understand differently.
    """
    plain = decode_plain(data, where=where, max_size=max_size)
    _refuse_other_case(plain, _type_info(type_), where)  # type: ignore[arg-type] # every class can be hashed
    try:
        return msgspec.convert(plain, type_, dec_hook=_decode_hook, strict=True)
    except msgspec.ValidationError as exc:
        raise FormatError(f"unexpected JSON: {exc}", where=where) from exc


def decode_plain(data: bytes, *, where: object, max_size: int = MAX_DOCUMENT) -> Any:
    """Bytes -> dicts, lists, strings, integers, floats, booleans and None; strict as `decode`, without types."""
    if len(data) > max_size:
        raise LimitError("JSON document too large", where=where, got=f"{len(data)} bytes", want=f"<= {max_size}")
    _bound_depth(data, where)
    if (count := sum(map(data.count, (b",", b"[", b"{")))) > MAX_VALUES:
        raise LimitError("too many JSON values", where=where, got=count, want=f"<= {MAX_VALUES}")
    try:
        value = json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_float=_finite,
            parse_int=_integer,
        )
        if _SURROGATE.search(data):
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except SealiftError as exc:
        raise FormatError(exc.message, where=where, got=exc.got) from exc
    except UnicodeDecodeError as exc:
        raise FormatError("not UTF-8", where=where, got=f"byte {exc.start}") from exc
    except UnicodeEncodeError as exc:
        raise FormatError("half of a surrogate pair in a text", where=where) from exc
    except (ValueError, RecursionError) as exc:
        raise FormatError(f"not JSON: {exc}", where=where) from exc


@functools.cache
def _type_info(type_: type) -> msgspec.inspect.Type:
    """Of the few types that documents have; making it costs more than reading most documents."""
    return msgspec.inspect.type_info(type_)


def _encode_hook(value: object) -> object:
    if isinstance(value, Digest):
        return str(value)
    raise NotImplementedError(f"cannot encode {type(value)}")


def _decode_hook(type_: type, value: object) -> object:
    if type_ is Digest and isinstance(value, str):
        try:
            return Digest.parse(value)
        except FormatError as exc:
            raise msgspec.ValidationError(f"{exc.message} {exc.got}") from exc
    raise msgspec.ValidationError(f"expected {type_.__name__}, got {type(value).__name__}")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise FormatError("duplicate JSON key", got=repr(twice[:80]))
    return result


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise FormatError("not JSON: no NaN, no Infinity", got=text[:80])
    return number


def _integer(text: str) -> int:
    """What Go reads into an int64; longer digits are another number, or an error, to every other reader."""
    if len(text) > 20 or not -_LARGEST <= (number := int(text)) < _LARGEST:
        raise FormatError("not JSON: an integer beyond 64 bits", got=text[:40])
    return number


def _no_constant(text: str) -> Any:
    raise FormatError("not JSON: no NaN, no Infinity", got=text)


def _bound_depth(data: bytes, where: object) -> None:
    """A cheap scan before the parser recurses: brackets outside of strings, the last one maybe without its end."""
    if data.count(b"[") + data.count(b"{") <= MAX_DEPTH:
        return
    depth = 0
    for byte in _NO_BRACKETS.sub(b"", data):
        depth += 1 if byte in b"[{" else -1
        if depth > MAX_DEPTH:
            raise LimitError("JSON nested too deeply", where=where, want=f"<= {MAX_DEPTH} levels")


def _refuse_floats(value: object) -> None:
    if isinstance(value, float):
        raise TypeError("canonical JSON has integers only")
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _refuse_floats(child)


def _refuse_other_case(value: Any, info: msgspec.inspect.Type, where: object) -> None:
    """Go matches `config` to the field `Config`; a document with both would be two documents."""
    if not isinstance(value, (dict, list)):
        return  # most values are text and numbers
    if isinstance(info, msgspec.inspect.StructType) and isinstance(value, dict):
        fields = {field.encode_name: field.type for field in info.fields}
        folded = {} if value.keys() <= fields.keys() else {name.casefold(): name for name in fields}
        for key, child in value.items():
            if key in fields:
                _refuse_other_case(child, fields[key], where)
            elif (known := folded.get(key.casefold())) is not None:
                raise FormatError("field name in the wrong case", where=where, got=repr(key), want=repr(known))
    elif isinstance(info, (msgspec.inspect.ListType, msgspec.inspect.VarTupleType)) and isinstance(value, list):
        for child in value:
            _refuse_other_case(child, info.item_type, where)
    elif isinstance(info, msgspec.inspect.DictType) and isinstance(value, dict):
        for child in value.values():
            _refuse_other_case(child, info.value_type, where)
    elif isinstance(info, msgspec.inspect.UnionType):
        for option in info.types:
            _refuse_other_case(value, option, where)
