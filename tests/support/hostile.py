"""The hostile corpus: attack -> a layer that carries it out, and words of the error it must end with."""

from tests.support import tars
from tests.support.tars import ELF_AMD64, END, folder, hardlink, header, member, pax, symlink, tar

GOOD = member("bin/kubelet", ELF_AMD64, mode=0o755)
LONG = "d" * 247


def path_max_overflow() -> bytes:
    """The 2025 class of attacks on realpath: short links to long names, until the resolved path is beyond PATH_MAX."""
    parts: list[bytes] = []
    above: list[str] = ["bin"]
    for letter in "abcdefghijklmno":
        parts += [pax({"path": "/".join([*above, LONG])}), header("x", typeflag=b"5")]
        parts += [pax({"path": "/".join([*above, letter])}), symlink("x", LONG)]
        above.append(LONG)
    return b"".join(parts)


# attack -> (layer, words of the error)
LAYERS: dict[str, tuple[bytes, str]] = {
    "climbing name": (tar(GOOD, member("bin/../../secret", b"x")), "climbs"),
    "climbing at once": (tar(member("../secret", b"x")), "climbs"),
    "absolute name": (tar(member("/bin/kubelet", b"x")), "absolute"),
    "dot inside the name": (tar(member("bin/./x", b"x")), "ambiguous"),
    "empty component": (tar(member("bin//x", b"x")), "ambiguous"),
    "dot twice": (tar(member("././bin/x", b"x")), "ambiguous"),
    "symlink write-through, absolute": (tar(GOOD, symlink("bin/d", "/etc"), member("bin/d/x", b"x")), "below a symb"),
    "symlink write-through, relative": (tar(GOOD, symlink("bin/d", "../.."), member("bin/d/x", b"x")), "below a symb"),
    "write-through to a harmless place": (
        tar(folder("bin/a"), symlink("bin/d", "a"), member("bin/d/x", b"x")),
        "below a symb",
    ),
    "two-symlink escape": (
        tar(GOOD, symlink("bin/s1", "."), symlink("bin/s2", "s1/.."), member("bin/s2/x", b"x")),
        "below a symb",
    ),
    "two-symlink escape, links alone": (tar(GOOD, symlink("bin/s1", "."), symlink("bin/s2", "s1/..")), "leaves /bin"),
    "link out, absolute": (tar(GOOD, symlink("bin/s", "/etc/passwd")), "leaves /bin"),
    "link out, absolute but looking inside": (tar(GOOD, symlink("bin/s", "/bin/kubelet")), "leaves /bin"),
    "link out, climbing": (tar(GOOD, symlink("bin/s", "../../secret")), "leaves /bin"),
    "link out through a missing directory": (tar(GOOD, symlink("bin/s", "none/../../../secret")), "leaves /bin"),
    "link loop": (tar(GOOD, symlink("bin/a", "b"), symlink("bin/b", "a")), "leaves /bin"),
    "link to itself": (tar(GOOD, symlink("bin/a", "a/x")), "leaves /bin"),
    "hardlink out": (tar(GOOD, hardlink("bin/h", "../../secret")), "climbs"),
    "hardlink out, absolute": (tar(GOOD, hardlink("bin/h", "/etc/passwd")), "absolute"),
    "hardlink to outside the mapping": (tar(GOOD, member("etc/x", b"x"), hardlink("bin/h", "etc/x")), "hard link"),
    "hardlink via symlink chain": (
        tar(GOOD, symlink("bin/a", "."), symlink("bin/b", "a/.."), hardlink("bin/h", "bin/b/secret")),
        "hard link",
    ),
    "hardlink to a symlink": (tar(GOOD, symlink("bin/s", "kubelet"), hardlink("bin/h", "bin/s")), "hard link"),
    "hardlink to itself": (tar(GOOD, hardlink("bin/h", "bin/h")), "hard link"),
    "hardlink to a directory": (tar(GOOD, folder("bin/d"), hardlink("bin/h", "bin/d")), "hard link"),
    "PATH_MAX overflow by links": (
        tar(GOOD, path_max_overflow(), member("bin/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/x", b"x")),
        "below a symb",
    ),
    "name longer than PATH_MAX": (tar(GOOD, pax({"path": "bin/" + "a/" * 2100 + "x"}), member("x", b"x")), "too long"),
    "component longer than NAME_MAX": (tar(GOOD, pax({"path": "bin/" + "a" * 256}), member("x", b"x")), "too long"),
    "character device": (tar(GOOD, header("bin/d", typeflag=b"3")), "device"),
    "block device": (tar(GOOD, header("bin/d", typeflag=b"4")), "device"),
    "FIFO": (tar(GOOD, header("bin/f", typeflag=b"6")), "device"),
    "sparse, GNU": (tar(GOOD, header("bin/s", typeflag=b"S", size=512), bytes(512)), "sparse"),
    "sparse of 1 TiB, PAX": (
        tar(GOOD, pax({"GNU.sparse.major": "1", "GNU.sparse.realsize": str(1 << 40)}), member("bin/s", b"1\n")),
        "sparse",
    ),
    "PAX size smaller than the header's": (tar(pax({"size": "0"}), member("bin/a", GOOD)), "two different sizes"),
    "PAX size larger than the header's": (tar(pax({"size": "1024"}), member("bin/a", b"x"), GOOD), "two different"),
    "PAX size of 1 EiB": (tar(pax({"size": str(1 << 60)}), member("bin/a", b"x")), "truncated"),
    "PAX size negative": (tar(pax({"size": "-1"}), member("bin/a", b"x")), "malformed PAX size"),
    "PAX record twice": (
        tar(member("p", b"15 path=bin/aa\n15 path=bin/bb\n", typeflag=b"x"), member("x", b"x")),
        "repeated PAX",
    ),
    "PAX record with a lying length": (tar(member("p", b"99 path=bin/a\n", typeflag=b"x"), GOOD), "malformed PAX"),
    "PAX name in a global header": (tar(pax({"path": "bin/a"}, b"g"), member("x", b"x")), "global"),
    "PAX header without a member": (tar(pax({"path": "bin/a"})), "without a member"),
    "PAX and GNU names for one member": (
        tar(pax({"path": "bin/a"}), tars.gnu_long(b"bin/b"), member("x", b"x")),
        "two names",
    ),
    "PAX header of 16 MiB": (header("p", size=16 << 20, typeflag=b"x"), "too large"),
    "NUL in a PAX name": (tar(pax({"path": b"bin/a\x00b"}), member("x", b"x")), "control"),
    "NUL inside a name": (tar(member(b"bin/a\x00evil", b"x")), "NUL inside"),
    "newline in a name": (tar(member("bin/a\nb", b"x")), "control"),
    "escape sequence in a name": (tar(member("bin/\x1b[2J", b"x")), "control"),
    "name that is not UTF-8": (tar(member(b"bin/\xff\xfe", b"x")), "UTF-8"),
    "name of nothing": (tar(member("", b"x")), "ambiguous"),
    "duplicate members": (tar(GOOD, member("bin/kubelet", b"evil")), "twice"),
    "duplicate by ./": (tar(GOOD, member("./bin/kubelet", b"evil")), "twice"),
    "file and directory of one name": (tar(member("bin/a/x", b"x"), member("bin/a", b"x")), "one name in one layer"),
    "entry below a file": (tar(member("bin/a", b"x"), member("bin/a/x", b"x")), "below a file"),
    "file where /bin is": (tar(member("bin", b"x")), "must be a directory"),
    "symlink where /bin is": (tar(symlink("bin", "/etc")), "must be a directory"),
    "file named as a directory": (tar(member("bin/a/", b"x")), "name of a directory"),
    "directory with a body": (tar(GOOD, header("bin/d/", typeflag=b"5", size=512), GOOD), "body"),
    "symlink with a body": (tar(GOOD, header("bin/d", typeflag=b"2", link="kubelet", size=512), GOOD), "body"),
    "unknown member type": (tar(GOOD, header("bin/d", typeflag=b"Z")), "unknown type"),
    "truncated in a body": (GOOD + header("bin/x", size=9999) + b"x" * 100, "truncated"),
    "truncated in a header": (GOOD + header("bin/x")[:300], "truncated"),
    "no end marker": (GOOD, "truncated"),
    "half an end marker": (GOOD + bytes(512), "truncated"),
    "garbage after a member": (GOOD + b"\xaa" * 512 + END, "not a tar header"),
    "wrong checksum": (GOOD + GOOD[:10] + b"Z" + GOOD[11:] + END, "checksum"),
    "trailing garbage": (tar(GOOD) + b"x" * 512, "after the end"),
    "second tar behind the first": (tar(GOOD) + tar(member("bin/evil", b"x")), "after the end"),
    "data after one zero block": (GOOD + bytes(512) + GOOD + END, "after the first zero block"),
    "endless zeros": (tar(GOOD) + bytes(2 << 20), "too much after the end"),
    "whiteout that climbs": (tar(GOOD, member("bin/.wh...")), "climbs"),
    "whiteout of the directory itself": (tar(GOOD, member("bin/.wh..")), "climbs"),
    "whiteout of nothing": (tar(GOOD, member("bin/.wh.")), "climbs"),
    "whiteout with a body": (tar(GOOD, member("bin/.wh.x", b"x")), "malformed whiteout"),
    "whiteout that is a link": (tar(GOOD, symlink("bin/.wh.x", "/etc")), "malformed whiteout"),
    "entry below a whiteout": (tar(GOOD, member("bin/.wh.x/y", b"x")), "below a whiteout"),
    "deep tree": (tar(GOOD, member("bin/" + "d/" * 40 + "x", b"x")), "deeply"),
    "very deep tree": (tar(GOOD, pax({"path": "bin/" + "d/" * 1000 + "x"}), member("x", b"x")), "too deep"),
    "huge header counts": (tar(GOOD, *(folder(f"etc/{number}") for number in range(10_001))), "too many members"),
    "program for another machine": (tar(member("bin/kubelet", tars.ELF_ARM64)), "another machine"),
    "ELF cut short": (tar(member("bin/kubelet", b"\x7fELF\x02\x01")), "another machine"),
    "nothing below /bin": (tar(member("charts/a.yaml", b"x")), "no /bin"),
    "nothing but folders below /bin": (tar(folder("bin/a"), folder("bin/a/b")), "no /bin"),
    "base-256 size beyond any disk": (header("bin/x", size=b"\x80" + b"\x7f" * 11) + END, "malformed size"),
    "negative base-256 size": (header("bin/x", size=b"\xff" * 12) + END, "malformed size"),
    "signed octal size": (header("bin/x", size=b"-0000000001\x00") + END, "malformed size"),
}
