"""What the builder gets from elsewhere: packages, programs, published archives, and the words of apt and go."""

import gzip
import json
import lzma
import struct
from pathlib import PurePosixPath
from typing import Final

from builder.facts.elf import elf_facts
from builder.facts.gobinary import go_facts, without_build_information
from builder.facts.program import Expectation, check_program
from builder.sources import aptlists, gomod
from builder.steps.debfile import DebFile, joined
from builder.steps.render import images_rendered
from tests.fuzz import modes, published_readers
from tests.fuzz.model import Target, taken
from tests.support import tars
from tests.support.foreign import AMD64
from tests.support.releases import program

_LIMIT: Final = 1 << 20  # bytes of an unpacked package: bombs must stay cheap here
_MAGIC: Final = b"\xff Go buildinf:\x08\x02"


def ar(**members: bytes) -> bytes:
    """An archive as ar(1) makes it; `_` of a name stands for a dot."""
    parts = [b"!<arch>\n"]
    for name, body in members.items():
        parts += [f"{name.replace('_', '.'):<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(body):<10}`\n".encode(), body]
        parts += [b"\n"] if len(body) % 2 else []
    return b"".join(parts)


def _deb(data: bytes) -> bool:
    package = taken(lambda: DebFile(data, where="input", limit=_LIMIT))
    if package is None:
        return False
    taken(package.control)
    for path in package.paths:
        entry = package.entry(path)
        found = taken(package.file, path)
        assert found is None or entry is not None
        assert ".." not in PurePosixPath(joined("usr/bin", path)).parts
    return True


def _data(data: bytes) -> bool:
    """The input is the tar inside."""
    return _deb(ar(**{"debian-binary": b"2.0\n", "control_tar": data, "data_tar": data}))


def _program(data: bytes) -> bool:
    facts = elf_facts(data)
    checked = check_program(data, Expectation(platform=AMD64, version="v1.2.3", go="1.26.8"))
    json.dumps(checked.facts).encode()
    assert facts is not None or checked.wrong
    return facts is not None


def _go(data: bytes) -> bool:
    """The input is a program's build information, wherever it stands."""
    found = go_facts(b"\x7fELF" + bytes(12) + _MAGIC + bytes(16) + data)
    without_build_information(_MAGIC + data)
    return found is not None


def _apt(data: bytes) -> bool:
    text = data.decode("utf-8", "replace")
    found = [
        taken(lambda: aptlists.source_files(text, "socat", "1.7.4.4-2")),
        taken(lambda: aptlists.binary_file(text, "socat", "1.7.4.4-2")),
        taken(lambda: aptlists.parse_madison(text, "socat", "1.7.4.4-2", sources=True)),
        taken(lambda: aptlists.parse_madison(text, "socat", "1.7.4.4-2", sources=False)),
        taken(lambda: aptlists.parse_simulated(text)) or None,
    ]
    for name in ("x.list", "x.sources"):
        written = aptlists.with_sources(name, text)
        assert aptlists.with_sources(name, written) == written
    return any(each is not None for each in found)


def _modules(data: bytes) -> bool:
    text = data.decode("utf-8", "replace")
    sums = taken(gomod.parse_sums, text, "go.sum")
    found = [sums, taken(gomod.parse_mod, data, "go.mod"), taken(gomod.parse_downloads, data) or None]
    for module in sums or {}:
        assert taken(gomod.Module.parse, str(module)) in (module, None)
    gomod.matches_prefix(text[:50], text[50:])
    return any(each is not None for each in found)


def _asked(data: bytes) -> bool:
    return bool(taken(images_rendered, data, "chart"))


READERS: Final[dict[str, modes.Reader]] = {
    "deb": _deb,
    "data": _data,
    "program": _program,
    "go": _go,
    "apt": _apt,
    "modules": _modules,
    "asked": _asked,
    **published_readers.READERS,
}
_TREE: Final = tars.tar(
    tars.member("./control", b"Package: x\n"),
    tars.folder("./usr"),
    tars.member("./usr/x", program(b"x"), mode=0o755),
    tars.symlink("./usr/l", "../usr/x"),
    tars.hardlink("./usr/h", "./usr/x"),
)
_RENDERED: Final = (
    b"kind: Pod\nmetadata: {name: y}\nspec: &x {image: a/b, more: [*x]}\n---\n{kind: Job, image: c/d:e}\n"
)
_H1: Final = "h1:" + "A" * 43 + "="
_LINES: Final = (
    f"path\texample.test/a\nmod\texample.test\tv1.2.3\t{_H1}\ndep\ta.b/c\tv1\n=>\tb.c/d\tv2\t{_H1}\nbuild\t-tags=x\n"
)


def dynamic_program() -> bytes:
    """A dynamic program (System V ABI, chapters 4 and 5): loader, one library, its sections with a symbol table."""
    loader, strings = b"/lib/ld.so\x00\x00\x00\x00\x00\x00", b"\x00libc.so.6\x00\x00\x00\x00\x00\x00"
    names = b"\x00.dynstr\x00.dynamic\x00.symtab\x00.shstrtab\x00".ljust(48, b"\x00")
    dynamic = struct.pack("<QQQQQQQQ", 5, 248, 10, len(strings), 1, 1, 0, 0)
    at = [232, 248, 264, 328]  # loader, strings, dynamic, names; the sections follow
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, 0x1000, 0x1000, 0x1000)
    interpreter = struct.pack("<IIQQQQQQ", 3, 4, at[0], at[0], 0, 11, 11, 1)
    segment = struct.pack("<IIQQQQQQ", 2, 6, at[2], at[2], 0, len(dynamic), len(dynamic), 8)
    sections = [
        (0, 0, 0, 0, 0, 0, 0),
        (1, 3, at[1], at[1], len(strings), 0, 0),
        (9, 6, at[2], at[2], len(dynamic), 1, 16),
        (18, 2, 0, 0, 0, 1, 24),
        (26, 3, 0, at[3], len(names), 0, 0),
    ]
    table = b"".join(struct.pack("<IIQQQQIIQQ", n, t, 2, a, o, s, link, 0, 1, e) for n, t, a, o, s, link, e in sections)
    head = b"\x7fELF\x02\x01\x01" + bytes(9)
    head += struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, at[3] + len(names), 0, 64, 56, 3, 64, len(sections), 4)
    return head + load + interpreter + segment + loader + strings + dynamic + names + table


def _build_information() -> bytes:
    text = b"0" * 16 + _LINES.encode() + b"1" * 16
    return bytes([8]) + b"go1.26.8" + bytes([len(text) & 0x7F | 0x80, len(text) >> 7]) + text


_SHOWN: Final = (
    b"Package: socat\nBinary: socat\nVersion: 1.7.4.4-2\nFilename: pool/s/socat_1.deb\nSize: 12\n"
    b"SHA256: "
    + b"ab" * 32
    + b"\nChecksums-Sha256:\n "
    + b"cd" * 32
    + b" 34 socat_1.dsc\n "
    + b"ef" * 32
    + b" 5 s.tar.gz\n\n"
)

TARGET: Final = Target(
    read=modes.by_first_byte(READERS),
    seeds=lambda: modes.seeds(
        READERS,
        {
            "deb": [
                ar(**{"debian-binary": b"2.0\n", "control_tar": _TREE, "data_tar": _TREE}),
                ar(control_tar_gz=gzip.compress(_TREE, mtime=0), data_tar_xz=lzma.compress(_TREE)),
            ],
            "data": [_TREE],
            "program": [program(b"v1.2.3"), dynamic_program()],
            "go": [_build_information()],
            "apt": [
                _SHOWN,
                b" socat | 1.7.4.4-2 | http://h b/main amd64 Packages\n socat | 1.7.4.4-2 | http://h b/main Sources\n",
                b"Inst libc6 (2.36-9 Debian:12.1/stable [amd64]) [x ]\nInst socat [1] (1.7 D:1 [amd64])\n",
                b"deb [a=b] http://h bookworm main # c\ndeb-src http://h x y\n",
                b"Types: deb\nURIs: http://h\n\nTypes: deb-src\n",
            ],
            "modules": [
                f"a.b/c v1.0.0 {_H1}\na.b/c v1.0.0/go.mod {_H1}\n".encode(),
                b'{"Module":{"Path":"m"},"Go":"1.21","Require":[{"Path":"a","Version":"v1","Indirect":true}],'
                b'"Replace":[{"Old":{"Path":"a"},"New":{"Path":"a","Version":"v2"}}]}',
                b'{"Path":"a","Version":"v1","Sum":"h1:x","Dir":"/d"}\n{"Path":"b","Error":"no"}\n',
                b"*.corp.test,example.test/*/x".ljust(50) + b"a.corp.test/y",
            ],
            **published_readers.SEEDS,
            "asked": [
                _RENDERED,
                b'[{"kind":"PodList","items":[{"kind":"Pod","metadata":{"name":"x"},"spec":{"image":"a:b"}}]}]',
            ],
        },
    ),
    least=50,
)
