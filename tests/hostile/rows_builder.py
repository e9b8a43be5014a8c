"""What the builder reads: recipes, locks, charts, packages, Go modules, programs."""

import lzma
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from backports import zstd

from bundles.errors import FormatError, SealiftError, UsageError
from tests.hostile import readers_under_attack as read
from tests.hostile.corpus_model import Attack, Place, table
from tests.hostile.rows_packings import window
from tests.support.recipes import tiny_recipe
from tests.support.releases import program
from tests.support.tars import END, folder, gnu_long, hardlink, header, member, pax, symlink, tar

Send = Callable[[Place], object]


def recipe(name: str, change: Callable[[str], str]) -> Send:
    """One file of a good recipe changed."""

    def send(place: Place) -> None:
        tiny_recipe(place.sent)
        path = place.sent / name
        path.write_bytes(os.fsencode(change(path.read_text())))

    return send


def component(text: str) -> Send:
    return recipe("components.yaml", lambda old: old.replace("  file: ./notes.txt\n", text))


def beside(change: Callable[[Path], object]) -> Send:
    """Something beside the recipe changed."""

    def send(place: Place) -> None:
        tiny_recipe(place.sent)
        change(place.sent)

    return send


def replaced(path: str, make: Callable[[Path], object]) -> Send:
    def change(root: Path) -> None:
        (root / path).unlink()
        make(root / path)

    return beside(change)


def lock(old: str, new: str) -> Send:
    def change(text: str) -> str:
        assert old in text, text
        return text.replace(old, new, 1)

    return recipe("lock.yaml", change)


def laughs(levels: int = 9) -> str:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [" + ",".join([f"*a{n - 1}"] * 9) + "]" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


def _out(root: Path) -> Path:
    return root.parent / "canary/secret"


YAML = table(
    "YAML",
    read.recipe,
    UsageError,
    {
        "billion laughs": (recipe("bundle.yaml", lambda text: text + laughs()), "an anchor"),
        "aliases without end": (
            recipe("bundle.yaml", lambda text: text + "x: [" + "*a," * 400_000 + "1]\n"),
            "an alias|values",
        ),
        "values without end": (
            recipe("bundle.yaml", lambda text: text + "x: [" + "a," * 400_000 + "1]\n"),
            "more than 200000 values",
        ),
        "nested without end": (recipe("bundle.yaml", lambda text: text + "x: " + "[" * 100_000), "nested deeper than"),
        "5 MiB": (recipe("bundle.yaml", lambda text: text + "#" * (5 << 20)), "larger than"),
        "a tag that runs code": (
            recipe("bundle.yaml", lambda text: text + "x: !!python/object/apply:os.system [id]\n"),
            "a tag",
        ),
        "a local tag": (recipe("bundle.yaml", lambda text: text.replace("name: tiny", "name: !x tiny")), "a tag"),
        "a binary value": (
            recipe("bundle.yaml", lambda text: text.replace("name: tiny", "name: !!binary dGlueQ==")),
            "a tag",
        ),
        "a merge key": (recipe("bundle.yaml", lambda text: text + "<<: {name: evil}\n"), "a merge key"),
        "a key twice": (recipe("bundle.yaml", lambda text: text + "name: evil\n"), "the key stands twice"),
        "a key that is a list": (recipe("bundle.yaml", lambda text: text + "? [a]\n: b\n"), "a key must be a word"),
        "a second document": (recipe("bundle.yaml", lambda text: text + "---\nname: evil\n"), "a second document"),
        "a directive": (recipe("bundle.yaml", lambda text: "%YAML 1.1\n---\n" + text), "directive"),
        "a tab": (recipe("bundle.yaml", lambda text: text.replace("name: tiny", "\tname: tiny")), "not YAML"),
        "an octal number": (
            recipe("bundle.yaml", lambda text: text.replace("sequence: 1", "sequence: 010")),
            "whole number",
        ),
        "a hexadecimal number": (
            recipe("bundle.yaml", lambda text: text.replace("sequence: 1", "sequence: 0x1")),
            "whole number",
        ),
        "a number in base 60": (
            recipe("bundle.yaml", lambda text: text.replace("sequence: 1", "sequence: 1:30")),
            "whole number",
        ),
        "a number of 400 digits": (
            recipe("bundle.yaml", lambda text: text.replace("sequence: 1", "sequence: 1" + "0" * 400)),
            "whole number",
        ),
        "a number with an underscore": (
            recipe("bundle.yaml", lambda text: text.replace("sequence: 1", "sequence: 1_0")),
            "whole number",
        ),
        "a number in Arabic digits": (
            recipe("bundle.yaml", lambda text: text.replace("sequence: 1", "sequence: \u0661")),
            "whole number",
        ),
        "a version that is a number": (
            recipe("components.yaml", lambda text: text.replace("1.2.3", "1.10")),
            "some YAML readers take",
        ),
        "Norway": (
            recipe("bundle.yaml", lambda text: text.replace("name: tiny", "name: no")),
            "some YAML readers take",
        ),
        "a date": (
            recipe("bundle.yaml", lambda text: text.replace("name: tiny", "name: 2001-01-01")),
            "some YAML readers take",
        ),
        "byte order mark": (recipe("bundle.yaml", lambda text: "\ufeff" + text), "byte order mark"),
        "not UTF-8": (recipe("bundle.yaml", lambda text: text + "# \udcff\n"), "not UTF-8"),
        "a control character": (recipe("bundle.yaml", lambda text: text.replace("tiny", "t\x07ny")), "not YAML"),
        "an escape sequence in a key": (recipe("bundle.yaml", lambda text: text + '"\\e[2Jx": 1\n'), r"\\x1b"),
        "a direction mark in a key": (recipe("bundle.yaml", lambda text: text + '"\\u202Ex": 1\n'), r"\\u202e"),
        "a line end in a value": (
            recipe("bundle.yaml", lambda text: text.replace("name: tiny", 'name: "a\\nok"')),
            r"\\n",
        ),
        "a NUL in a value": (recipe("bundle.yaml", lambda text: text.replace("name: tiny", 'name: "a\\0b"')), r"\\x00"),
        "half a surrogate pair": (
            recipe("bundle.yaml", lambda text: text.replace("name: tiny", 'name: "\\uD800"')),
            ".",
        ),
    },
)
PATHS = table(
    "paths of a recipe",
    read.recipe,
    SealiftError,
    {
        "file that climbs": (component("  file: ./../secret\n"), "a path|want"),
        "absolute file": (component("  file: /etc/passwd\n"), "want"),
        "file as a URL": (component("  file: file:///etc/passwd\n"), "want"),
        "file with a glob": (component("  file: ./*\n"), "want"),
        "file by way of the home": (component("  file: ~/.ssh/id_rsa\n"), "want"),
        "folder that climbs": (recipe("charts.yaml", lambda text: "one:\n  folder: ../../etc\n"), "want a path"),
        "sources that climb": (component("  compile: ./../..\n  run: [x]\n  output: [x]\n"), "want"),
        "output that climbs": (
            component("  compile: ./src\n  version: 1.2.3\n  run: [x]\n  output: [../../x]\n"),
            "want a path",
        ),
        "absolute output": (
            component("  compile: ./src\n  version: 1.2.3\n  run: [x]\n  output: [/etc/x]\n"),
            "want a path",
        ),
        "Go module that climbs": (component("  go: a/../../b@v1.0.0\n  build: [x]\n"), "want MODULE@VERSION"),
        "Go module as an option": (component("  go: -modfile=x@v1.0.0\n  build: [x]\n"), "want MODULE@VERSION"),
        "Go version as a branch": (component("  go: example.org/m@main\n  build: [x]\n"), "want MODULE@VERSION"),
        "Go tag as an option": (
            component("  go: example.org/m@v1.0.0\n  build: [x]\n  tags: ['-x']\n"),
            "Go build tag",
        ),
        "stamp with a blank": (
            component('  go: example.org/m@v1.0.0\n  build: [x]\n  stamp: {main.v: "x -extld=evil"}\n'),
            "without blanks",
        ),
        "package as an option": (component("  deb: --evil=1\n  files: [x]\n"), "want NAME=VERSION"),
        "member of a package that climbs": (component("  deb: socat=1\n  files: [../../x]\n"), "want a path"),
        "userland path that climbs": (component("  userland: [socat=1]\n  files: [usr/../../x]\n"), "want a path"),
        "link that climbs": (
            component("  userland: [socat=1]\n  files: [bin/a]\n  links: {bin/a: [../../x]}\n"),
            "want a name",
        ),
        "folder in the image that climbs": (
            recipe("images.yaml", lambda text: text.replace("/bin", "/bin/../../x")),
            "absolute path in the image",
        ),
        "URL as a source": (component("  url: https://user:secret@example.invalid/x\n"), "does not know"),
        "image by a digest": (
            recipe("images.yaml", lambda text: text.replace("rancher/rke2-runtime", "a/b@sha256:" + "0" * 64)),
            ".",
        ),
        "image in capital letters": (
            recipe("images.yaml", lambda text: text.replace("rancher/", "RANCHER/")),
            "malformed",
        ),
        "file that is a link out": (
            replaced("notes.txt", lambda path: path.symlink_to(_out(path.parent))),
            "leads out of the recipe",
        ),
        "file that is a link in circles": (
            replaced("notes.txt", lambda path: path.symlink_to(path.name)),
            "leads out|no file",
        ),
        "file that is a FIFO": (replaced("notes.txt", os.mkfifo), "no file"),
        "components.yaml as a FIFO": (replaced("components.yaml", os.mkfifo), "the file is missing"),
        "components.yaml as a device": (
            replaced("components.yaml", lambda path: path.symlink_to("/dev/zero")),
            "the file is missing",
        ),
        "bundle.yaml as a folder": (replaced("bundle.yaml", Path.mkdir), "bundle.yaml is missing"),
        "file beside the known ones": (
            beside(lambda root: (root / "image.yaml").write_text("x: 1\n")),
            "no file of a recipe",
        ),
    },
)


def _other_bytes(place: Place) -> None:
    tiny_recipe(place.sent)
    (place.sent / "notes.txt").write_text("other\n")


def _without_digest(place: Place) -> None:
    tiny_recipe(place.sent)
    path = place.sent / "lock.yaml"
    lines = path.read_text().splitlines(keepends=True)
    at = next(number for number, line in enumerate(lines) if "file:notes.txt" in line)
    del lines[at + 1]
    path.write_text("".join(lines))


def _shuffled(place: Place) -> None:
    tiny_recipe(place.sent)
    path = place.sent / "lock.yaml"
    path.write_text(path.read_text().replace("component: notes", "component: zzz"))


LOCK = table(
    "lock",
    read.lock,
    UsageError,
    {
        "absolute file": (lock("file:notes.txt", "file:/etc/passwd"), "want a source"),
        "file that climbs": (lock("file:notes.txt", "file:../canary/secret"), "want a source"),
        "folder that climbs": (lock("folder:src", "folder:src/../../canary"), "want a source"),
        "URL with credentials": (lock("file:notes.txt", "https://user:secret@example.invalid/x"), "want a source"),
        "file URL": (lock("file:notes.txt", "file:///etc/passwd"), "want a source"),
        "unknown kind": (lock("file:notes.txt", "git:example.org/x@v1"), "want a source"),
        "another kind": (lock("file:notes.txt", "folder:src"), "the recipe wants"),
        "another digest": (lock(" sha256: ", " sha256: 0"), "64 lower-case hex digits|want"),
        "digest of other bytes": (_other_bytes, "changed"),
        "digest in capital letters": (recipe("lock.yaml", lambda text: text.replace("a", "A")), "."),
        "no digest": (_without_digest, "not pinned by sha256"),
        "source as a module without its hash": (lock("file:notes.txt", "go:example.org/m@v1.0.0"), "not pinned by h1"),
        "module that climbs": (lock("file:notes.txt", "go:example.org/../../m@v1.0.0"), "want a source"),
        "package without files": (lock("file:notes.txt", "deb:bookworm/socat=1"), "not pinned by files"),
        "package file that climbs": (
            lock(
                "file:notes.txt\n",
                "deb:bookworm/socat=1\n  files: [{name: ../../x, size: 1, sha256: " + "0" * 64 + "}]\n",
            ),
            "want a file name",
        ),
        "package file of a size below zero": (
            lock(
                "file:notes.txt\n", "deb:bookworm/socat=1\n  files: [{name: x, size: -1, sha256: " + "0" * 64 + "}]\n"
            ),
            "whole number",
        ),
        "toolchain that climbs": (
            lock("tools: []", "tools:\n- {source: go-toolchain:1.26.8/../../x, h1: h1:" + "A" * 43 + "=, size: 1}"),
            "want a toolchain",
        ),
        "toolchain from elsewhere": (
            lock("tools: []", "tools:\n- {source: go:evil.example/go@v1.0.0, h1: h1:" + "A" * 43 + "=, size: 1}"),
            "want a toolchain",
        ),
        "another recipe's digest": (lock("recipe: sha256:", "recipe: sha256:0"), "want a digest"),
        "another bundle": (lock("tiny@v1.0.0", "evil@v1.0.0"), "the lock is not this recipe's"),
        "time beyond any header": (lock("epoch: 1771545600", "epoch: 99999999999999"), "whole number"),
        "time below zero": (lock("epoch: 1771545600", "epoch: -1"), "whole number"),
        "chart version that climbs": (lock("version: 0.1.0", "version: ../../x"), "a chart's version"),
        "licence that steers a terminal": (lock("file:notes.txt\n", 'file:notes.txt\n  license: "\\e[2J"\n'), r"\\x1b"),
        "licence written backwards": (
            lock("file:notes.txt\n", 'file:notes.txt\n  license: "\\u202Etxt"\n'),
            "cannot be seen",
        ),
        "entries out of order": (_shuffled, "out of order|the lock is not"),
        "component that the recipe has not": (
            lock("component: notes", "component: evil"),
            "not in the recipe|not in it",
        ),
        "an unknown key": (lock("epoch:", "evil: 1\nepoch:"), "unknown key"),
        "another format": (lock("sealift-lock: 1", "sealift-lock: 2"), "whole number"),
        "an alias": (lock("charts:", "x: &x 1\ncharts:"), "an anchor"),
        "a FIFO": (replaced("lock.yaml", os.mkfifo), "no lock"),
        "empty": (recipe("lock.yaml", lambda text: ""), "the file is empty"),
    },
)


def folder_with(make: Callable[[Path], object]) -> Send:
    def send(place: Place) -> None:
        (place.sent / "Chart.yaml").write_text("apiVersion: v2\nname: one\nversion: 0.1.0\n")
        make(place.sent)

    return send


def _deep(root: Path) -> None:
    (root / "/".join("d" * 900)).mkdir(parents=True)


SOURCES = [
    *table(
        "source folders",
        read.source_folder,
        SealiftError,
        {
            "link out": (folder_with(lambda root: (root / "x").symlink_to(_out(root))), "a symlink in a source folder"),
            "link to a folder": (
                folder_with(lambda root: (root / "x").symlink_to("/etc")),
                "a symlink in a source folder",
            ),
            "link in circles": (folder_with(lambda root: (root / "x").symlink_to("x")), "a symlink in a source folder"),
            "FIFO": (folder_with(lambda root: os.mkfifo(root / "x")), "a special file in a source folder"),
            "name that is not UTF-8": (
                folder_with(lambda root: Path(os.fsdecode(bytes(root) + b"/\xff")).touch()),
                "not UTF-8",
            ),
            "folders without end": (folder_with(_deep), "nested too deeply"),
        },
    ),
    *table(
        "source folders",
        read.chart_file,
        UsageError,
        {
            "Chart.yaml: aliases": (folder_with(lambda root: (root / "Chart.yaml").write_text(laughs())), "an anchor"),
            "Chart.yaml: name that climbs": (
                folder_with(
                    lambda root: (root / "Chart.yaml").write_text("apiVersion: v2\nname: ../x\nversion: 1.0.0\n")
                ),
                "want the chart's name",
            ),
            "Chart.yaml: version that climbs": (
                folder_with(
                    lambda root: (root / "Chart.yaml").write_text("apiVersion: v2\nname: x\nversion: 1.0.0/../..\n")
                ),
                "want the chart's version",
            ),
            "Chart.yaml: a list": (
                folder_with(lambda root: (root / "Chart.yaml").write_text("- x\n")),
                "want a mapping",
            ),
            "Chart.yaml: nested without end": (
                folder_with(lambda root: (root / "Chart.yaml").write_text("[" * 100_000)),
                "nested deeper",
            ),
        },
    ),
    *table(
        "source folders",
        read.go_module,
        FormatError,
        {
            "Go module: a line end in a name": (
                folder_with(lambda root: (root / "a\nb").touch()),
                "a line end in the name",
            ),
            "Go module: a link": (
                folder_with(lambda root: (root / "x").symlink_to(_out(root))),
                "not a regular file in a module",
            ),
            "Go module: a FIFO": (folder_with(lambda root: os.mkfifo(root / "x")), "not a regular file in a module"),
        },
    ),
]


def ar(*parts: tuple[str, bytes], magic: bytes = b"!<arch>\n") -> bytes:
    out = magic
    for name, data in parts:
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)
    return out


def deb(data: bytes, name: str = "data.tar", control: bytes | None = None) -> Send:
    good = tar(member("./control", b"Package: x\n"))
    made = ar(("debian-binary", b"2.0\n"), ("control.tar", good if control is None else control), (name, data))
    return package(made)


def package(data: bytes) -> Send:
    return lambda place: (place.sent / "a.deb").write_bytes(data)


TOOL = member("./bin/tool", b"x", mode=0o755)
SPARSE = pax(
    {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.realsize": str(1 << 40),
        "GNU.sparse.name": "bin/tool",
    }
)
MAP = b"1\n%d\n1\n" % ((1 << 40) - 1) + bytes(500)
DEBS = table(
    "Debian packages",
    read.deb,
    FormatError,
    {
        "not ar": (package(b"PK\x03\x04" + bytes(100)), "not a Debian package"),
        "ar header cut short": (package(ar(("debian-binary", b"2.0\n"))[:-20]), "malformed ar header|no data.tar"),
        "ar size beyond the file": (
            package(b"!<arch>\n" + b"%-16s%-12d%-6d%-6d%-8d%-10d`\n" % (b"data.tar", 0, 0, 0, 0, 1 << 30)),
            "malformed ar header",
        ),
        "ar size below zero": (
            package(b"!<arch>\n" + b"%-16s%-12d%-6d%-6d%-8d%-10d`\n" % (b"data.tar", 0, 0, 0, 0, -1)),
            "malformed ar header",
        ),
        "no data": (package(ar(("debian-binary", b"2.0\n"))), "no data.tar"),
        "data twice": (
            package(ar(("data.tar", tar(TOOL)), ("data.tar.xz", lzma.compress(tar(TOOL))))),
            "data.tar twice",
        ),
        "no control": (package(ar(("data.tar", tar(TOOL)))), "no control.tar"),
        "unknown compression": (deb(b"x", "data.tar.bz2"), "unknown compression"),
        "name that steers a terminal": (deb(b"x", "data.tar\x1b[2J"), r"unknown compression[\s\S]*\\x1b"),
        "xz bomb": (lambda place: deb(lzma.compress(bytes(100 << 20), preset=1), "data.tar.xz")(place), "too large"),
        "zstd bomb": (lambda place: deb(zstd.compress(bytes(100 << 20), 1), "data.tar.zst")(place), "too large"),
        "xz with a dictionary of 1 GiB": (
            lambda place: deb(_big_dictionary(), "data.tar.xz")(place),
            "cannot decompress",
        ),
        "zstd with a window of 128 MiB": (deb(window(27), "data.tar.zst"), "cannot decompress"),
        "xz cut short": (deb(lzma.compress(tar(TOOL))[:-20], "data.tar.xz"), "cut short|cannot decompress"),
        "gzip of nothing": (deb(b"", "data.tar.gz"), "cut short|cannot decompress"),
        "zstd that is none": (deb(b"x" * 100, "data.tar.zst"), "cannot decompress"),
        "no tar": (deb(b"x" * 2000), "malformed data.tar|no such file"),
        "sparse member of 1 TiB": (deb(tar(SPARSE, member("x", MAP))), "sparse members are refused"),
        "old sparse member": (deb(tar(header("bin/tool", typeflag=b"S"))), "sparse|malformed"),
        "extension headers in a chain": (deb(tar(pax({"comment": "x"}) * 3000, TOOL)), "malformed data.tar"),
        "long names in a chain": (deb(tar(gnu_long(b"x") * 3000, TOOL)), "malformed data.tar"),
        "extension headers in the control": (
            deb(tar(TOOL), control=tar(pax({"comment": "x"}) * 3000)),
            "malformed control.tar",
        ),
        "links in a circle": (deb(tar(symlink("./bin/a", "tool"), symlink("./bin/tool", "a"))), "too many links"),
        "hard link and link in a circle": (
            deb(tar(symlink("bin/s", "tool"), hardlink("bin/tool", "bin/s"))),
            "malformed data.tar",
        ),
        "hard link to nothing": (deb(tar(hardlink("bin/tool", "bin/none"))), "malformed data.tar"),
        "link that climbs": (deb(tar(symlink("./bin/tool", "../../../../etc/passwd"))), "no such file in the package"),
        "absolute link": (deb(tar(symlink("./bin/tool", "/etc/passwd"))), "no such file in the package"),
        "device": (deb(tar(header("./bin/tool", typeflag=b"3"))), "not a regular file"),
        "FIFO": (deb(tar(header("./bin/tool", typeflag=b"6"))), "not a regular file"),
        "folder": (deb(tar(folder("./bin/tool"))), "not a regular file"),
        "file cut short": (
            deb(header("./bin/tool", size=9999) + b"x" * 100),
            "malformed data.tar|unexpected|truncated",
        ),
        "size of 8 EiB": (
            deb(header("./bin/tool", size=b"\x80\x00\x00\x00\x7f" + b"\xff" * 7) + END),
            "malformed data.tar",
        ),
        "control that is a link": (deb(tar(TOOL), control=tar(symlink("./control", "/etc/passwd"))), "no control file"),
    },
)


def _big_dictionary() -> bytes:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 1, "dict_size": 1 << 20}]
    data = bytearray(lzma.compress(tar(TOOL), check=lzma.CHECK_NONE, filters=filters))
    # Block header (xz file format, 3.1): size, flags, filter id 0x21, one byte of properties: the dictionary's size.
    start = 12
    length = (data[start] + 1) * 4
    at = data.index(b"\x21\x01", start) + 2
    data[at] = 36  # 1 GiB
    data[start + length - 4 : start + length] = struct.pack("<I", zlib.crc32(bytes(data[start : start + length - 4])))
    return bytes(data)


def elf(**fields: tuple[int, str, int]) -> Send:
    """A program's header with fields changed: offset, format, value."""
    data = bytearray(program(b"x" * 400))
    for at, kind, value in fields.values():
        struct.pack_into(kind, data, at, value)
    return lambda place: (place.sent / "a").write_bytes(data)


ELF = table(
    "programs",
    read.program,
    FormatError,
    {
        "sections without end": (
            elf(offset=(40, "<Q", 64), size=(58, "<H", 0), count=(60, "<H", 0), huge=(64 + 32, "<Q", (1 << 64) - 1)),
            "no ELF program",
        ),
        "sections of no size": (
            elf(offset=(40, "<Q", 64), size=(58, "<H", 0), count=(60, "<H", 60_000)),
            "no ELF program",
        ),
        "sections beyond the file": (
            elf(offset=(40, "<Q", 1 << 62), size=(58, "<H", 64), count=(60, "<H", 3)),
            "no ELF program",
        ),
        "sections at the end of the number line": (
            elf(offset=(40, "<Q", (1 << 64) - 1), size=(58, "<H", 64), count=(60, "<H", 3)),
            "no ELF program",
        ),
        "segments of no size": (
            elf(offset=(32, "<Q", 64), size=(54, "<H", 0), count=(56, "<H", 60_000)),
            "no ELF program",
        ),
        "segments beyond the file": (
            elf(offset=(32, "<Q", 1 << 63), size=(54, "<H", 56), count=(56, "<H", 5)),
            "no ELF program",
        ),
        "cut in the header": (lambda place: (place.sent / "a").write_bytes(program(b"")[:30]), "no ELF program"),
        "magic alone": (lambda place: (place.sent / "a").write_bytes(b"\x7fELF"), "no ELF program"),
        "no class": (elf(kind=(4, "<B", 9)), "no ELF program"),
    },
)
ATTACKS: list[Attack] = YAML + PATHS + LOCK + SOURCES + DEBS + ELF
