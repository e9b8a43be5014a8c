"""Patterns that several tables of keys use."""

from builder.recipe.kinds import Text

SEGMENT = r"(?!\.\.?(?:/|$))[A-Za-z0-9_][A-Za-z0-9._+@~-]*"
BELOW = rf"{SEGMENT}(?:/{SEGMENT})*"
LOCAL = rf"\./{BELOW}"
PROGRAM = Text(what="a file name", pattern=r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,126}", example="kubelet")
# No blank, no quote, no user before the host, no fragment: one reading for every client (RFC 3986).
_HOST = r"(?:[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9a-f:]+\])(?::[0-9]{1,5})?"
URL = rf"https?://{_HOST}(?:/[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?"
_PART = r"(?!\.\.?(?:/|$))[A-Za-z0-9_.$][A-Za-z0-9._+@~$-]*"
ARCHIVED = Text(
    what="a path in the archive ($version is known)", pattern=rf"{_PART}(?:/{_PART})*", example="tool-$version/bin/tool"
)
HEX = Text(what="64 lower-case hex digits", pattern=r"[0-9a-f]{64}")
