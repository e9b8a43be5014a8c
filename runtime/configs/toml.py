"""Values and tables of TOML, as programs written in Go read them. Pure."""

import json
from collections.abc import Mapping, Sequence

from bundles.errors import FormatError

Value = str | int | bool | Sequence["Value"]
Table = Mapping[str, Value]


def table(name: str, values: Table) -> str:
    """A table with its head; the empty name is the document itself."""
    head = f"[{name}]\n" if name else ""
    return head + "".join(f"{_key(key)} = {value(one)}\n" for key, one in values.items())


def value(one: Value) -> str:
    """A value as TOML text; raises FormatError for control characters.

    TOML's basic strings are JSON's, but for DEL and for what JSON would write as two surrogates.
    """
    if isinstance(one, str):
        if any(ord(char) < 0x20 or ord(char) == 0x7F for char in one):
            raise FormatError("a control character in a configuration value", got=repr(one))
        return json.dumps(one, ensure_ascii=False)
    if isinstance(one, int):
        return json.dumps(one)
    return f"[{', '.join(map(value, one))}]"


def _key(name: str) -> str:
    return name if name.replace("_", "").replace("-", "").isalnum() and name.isascii() else value(name)
