"""Names inside tar archives: one spelling for one thing, or none at all.

Whatever two readers could take for two different files (or one for none) is refused: absolute and climbing names,
empty and `.` components, NUL and control characters, bytes that are not UTF-8.
"""

from typing import Final

from bundles.errors import FormatError, LimitError

MAX_NAME: Final = 4095  # bytes: PATH_MAX without its NUL
MAX_COMPONENT: Final = 255  # bytes: NAME_MAX
MAX_DEPTH: Final = 100


def text(raw: bytes, what: str, where: str) -> str:
    """Bytes of a header -> text; raises FormatError for control characters and what is not UTF-8."""
    if len(raw) > MAX_NAME:
        raise LimitError(f"{what} too long", where=where, got=f"{len(raw)} bytes", want=f"<= {MAX_NAME}")
    try:
        name = raw.decode("utf-8")
    except UnicodeDecodeError as exc:
        raise FormatError(f"{what} is not UTF-8", where=where, got=repr(raw[:200])) from exc
    if any(char < " " or "\x7f" <= char <= "\x9f" for char in name):
        raise FormatError(f"{what} with control characters", where=where, got=repr(name[:200]))
    return name


def clean(name: str, where: str, *, leading_dot: bool) -> str:
    """A member's name -> `a/b/c`, or "" for the root.

    With `leading_dot`, one `./` in front (as `tar -C dir .` writes it) is taken off; else it is refused, because
    RKE2's reader does not find such a member.
    """
    path = name.removesuffix("/")
    if leading_dot and (path == "." or path.startswith("./")):
        path = path[2:]
        if not path:
            return ""
    check(path, where, shown=name)
    return path


def check(path: str, where: str, *, shown: str = "") -> None:
    """Raises FormatError unless `path` is relative, without empty, `.` and `..` components, and bounded."""
    parts = path.split("/")
    got = repr((shown or path)[:200])
    if path.startswith("/"):
        raise FormatError("absolute name in a tar", where=where, got=got)
    if ".." in parts:
        raise FormatError("name in a tar that climbs out of it", where=where, got=got)
    if "." in parts or "" in parts:
        hint = "write the archive again with names that do not begin with ./" if path.startswith("./") else ""
        raise FormatError("ambiguous name in a tar", where=where, got=got, want="a/b/c", hint=hint)
    if len(parts) > MAX_DEPTH or any(len(part.encode()) > MAX_COMPONENT for part in parts):
        raise LimitError("name in a tar too deep or too long", where=where, got=got)


def linked(member: str, target: str) -> str | None:
    """Where a relative symlink `target` of `member` leads, by its text alone; None when it leaves the archive."""
    if target.startswith("/"):
        return None
    parts = member.split("/")[:-1]
    for part in target.split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)
