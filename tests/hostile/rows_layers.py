"""Layers of an image in agent/images: the corpus of tests/support/hostile.py, and attacks over several layers."""

import gzip
from collections.abc import Callable
from pathlib import Path

from bundles.errors import FormatError, LimitError
from tests.hostile.corpus_model import Attack, Place, table
from tests.hostile.readers_under_attack import RUNTIME, extract
from tests.support import tars
from tests.support.hostile import GOOD, LAYERS
from tests.support.tars import END, folder, gnu_long, hardlink, header, member, pax, symlink, tar

Send = Callable[[Place], object]


def images(place: Place) -> Path:
    path = place.given / "rke2/agent/images"
    path.mkdir(parents=True, exist_ok=True)
    return path


def put(data: bytes, name: str = "runtime.tar") -> Send:
    """An archive in agent/images, before the node looks."""
    return lambda place: (images(place) / name).write_bytes(data)


def layers(*contents: bytes) -> Send:
    return put(tars.new_docker(tars.image(*contents), RUNTIME))


def flood(count: int, make: Callable[[int], bytes]) -> bytes:
    return tar(GOOD, *(make(number) for number in range(count)))


def _canary_links(place: Place) -> object:
    """Absolute links to what really is there, and writes through them."""
    target = str(place.canary / "folder")
    return layers(tar(GOOD, symlink("bin/out", target), member("bin/out/evil", b"x")))(place)


def _canary_climbs(place: Place) -> object:
    up = "../" * 8 + str(place.canary).lstrip("/")
    return layers(tar(GOOD, pax({"path": f"bin/{up}/evil"}), member("x", b"x")))(place)


def _canary_link_alone(place: Place) -> object:
    return layers(tar(GOOD, symlink("bin/kubectl", str(place.canary / "secret"))))(place)


SINGLE = table(
    "layer entries",
    extract,
    FormatError,
    {name: (layers(layer), words) for name, (layer, words) in LAYERS.items()},
)
MORE = table(
    "layer entries",
    extract,
    FormatError,
    {
        "write through an absolute link to a real folder": (_canary_links, "below a symbolic link"),
        "name that climbs to a real folder": (_canary_climbs, "climbs"),
        "link to a real file outside": (_canary_link_alone, "leaves /bin"),
        "forward hard link": (layers(tar(GOOD, hardlink("bin/a", "bin/z"), member("bin/z", b"x"))), "no file of the"),
        "hard link to a whiteout": (layers(tar(GOOD), tar(hardlink("bin/a", "bin/.wh.kubelet"))), "no file of the"),
        "hard link with a body": (
            layers(tar(GOOD, header("bin/h", typeflag=b"1", link="bin/kubelet", size=512), bytes(512))),
            "a body where readers expect none",
        ),
        "hard link through a symlinked folder": (
            layers(
                tar(GOOD, folder("bin/d"), member("bin/d/x", b"x"), symlink("bin/s", "d"), hardlink("bin/h", "bin/s/x"))
            ),
            "no file of the tree",
        ),
        "hard link chain to a symlink": (
            layers(tar(GOOD, symlink("bin/s", "kubelet"), hardlink("bin/a", "bin/s"), hardlink("bin/b", "bin/a"))),
            "no file of the tree",
        ),
        "backslash does not climb, but dots do": (layers(tar(GOOD, member("bin/..\\..\\x/../../y", b"x"))), "climbs"),
        "overlong UTF-8 of a slash": (layers(tar(GOOD, member(b"bin/..\xc0\xaf..\xc0\xafx", b"x"))), "not UTF-8"),
        "surrogate in UTF-8": (layers(tar(GOOD, member(b"bin/\xed\xa0\x80", b"x"))), "not UTF-8"),
        "C1 control character": (layers(tar(GOOD, member("bin/\x9b31m", b"x"))), "control characters"),
        "carriage return in a name": (layers(tar(GOOD, member("bin/a\rb", b"x"))), "control characters"),
        "escape in a link target": (layers(tar(GOOD, symlink("bin/a", "\x1b]0;x\x07"))), "control characters"),
        "link target of 2000 characters": (
            layers(tar(GOOD, pax({"linkpath": "./" * 1000 + "kubelet"}), symlink("bin/a", "x"))),
            "link target too long",
        ),
        "link to nothing": (layers(tar(GOOD, symlink("bin/a", ""))), "a link to nothing"),
        "links that lead in a long circle": (
            layers(tar(GOOD, *(symlink(f"bin/l{n}", f"l{(n + 1) % 50}") for n in range(50)))),
            "leaves /bin",
        ),
        "chain of links longer than any reader follows": (
            layers(tar(GOOD, *(symlink(f"bin/l{n}", f"l{n + 1}") for n in range(50)), member("bin/l50", b"x"))),
            "leaves /bin",
        ),
        "link out by way of a link in another layer": (
            layers(tar(GOOD, folder("bin/d/e"), symlink("bin/a", "d/e")), tar(symlink("bin/b", "a/../../../x"))),
            "leaves /bin",
        ),
        "folder replaced by a link in a higher layer, then written below": (
            layers(
                tar(GOOD, folder("bin/d"), member("bin/d/x", b"x")),
                tar(symlink("bin/d", "/etc"), member("bin/d/y", b"x")),
            ),
            "below a symbolic link",
        ),
        "link, then a folder of its name": (layers(tar(GOOD, symlink("bin/d", "."), folder("bin/d"))), "twice"),
        "file over a folder of its own layer": (
            layers(tar(member("bin/d/x", b"x"), GOOD, member("bin/d", b"x"))),
            "one name",
        ),
        "whiteout of a root as a link": (layers(tar(GOOD, symlink(".wh.bin", "x"))), "malformed whiteout"),
        "opaque marker with content": (layers(tar(GOOD, member("bin/.wh..wh..opq", b"x"))), "malformed whiteout"),
        "opaque marker that is a folder": (layers(tar(GOOD, folder("bin/.wh..wh..opq"))), "malformed whiteout"),
        "opaque marker that is a link": (layers(tar(GOOD, symlink("bin/.wh..wh..opq", "/etc"))), "malformed whiteout"),
        "aufs' own files": (layers(tar(GOOD, member("bin/.wh..wh.plnk"))), "malformed whiteout"),
        "whiteout that is a device": (layers(tar(GOOD, header("bin/.wh.x", typeflag=b"3"))), "malformed whiteout"),
        "whiteout of nothing below a file": (layers(tar(GOOD, folder("bin/.wh.d"))), "malformed whiteout"),
        "whiteout that hides all programs": (layers(tar(GOOD), tar(member(".wh.bin"))), "no /bin"),
        "opaque root over all layers": (layers(tar(GOOD), tar(member(".wh..wh..opq"))), "no /bin"),
        "GNU long name that climbs": (layers(tar(GOOD, gnu_long(b"bin/../../x"), member("x", b"x"))), "climbs"),
        "GNU long link that leaves": (
            layers(tar(GOOD, gnu_long(b"../" * 60 + b"etc", b"K"), symlink("bin/s", "x"))),
            "leaves /bin",
        ),
        "GNU long name of 2 MiB": (
            layers(header("L", size=2 << 20, typeflag=b"L") + END),
            "extension header too large",
        ),
        "GNU long name twice": (layers(tar(gnu_long(b"bin/a"), gnu_long(b"bin/b"), member("x", b"x"))), "two names"),
        "GNU header with a prefix, which Go and Python read": (
            layers(tar(GOOD, member("x", b"x", magic=b"ustar  \x00", prefix=b"etc"))),
            "take for two",
        ),
        "GNU header with times, which Python reads as a prefix": (
            layers(tar(GOOD, member("x", b"x", magic=b"ustar  \x00", prefix=b"14733030277"))),
            "take for two",
        ),
        "GNU multi-volume member": (layers(tar(GOOD, header("bin/m", typeflag=b"M"))), "unknown type"),
        "GNU dump folder": (layers(tar(GOOD, header("bin/m", typeflag=b"D"))), "unknown type"),
        "Solaris ACL header": (layers(tar(GOOD, header("bin/m", typeflag=b"A"))), "unknown type"),
        "contiguous file": (layers(tar(GOOD, member("bin/m", b"x", typeflag=b"7"))), "unknown type"),
        "old tar without a magic": (layers(tar(GOOD, member("bin/m", b"x", magic=bytes(8)))), "not a tar header"),
        "size with a decimal digit": (layers(header("bin/x", size=b"00000000900\x00") + END), "malformed size"),
        "size of octal garbage": (layers(header("bin/x", size=b"12 34567 89\x00") + END), "malformed size"),
        "size of 8 EiB": (layers(header("bin/x", size=b"\x80\x00\x00\x00\x7f" + b"\xff" * 7) + END), "malformed size"),
        "size far beyond the layer": (layers(header("bin/x", size=7 << 30) + END), "truncated"),
        "PAX size with a sign": (layers(tar(pax({"size": "+1"}), member("bin/a", b"x"))), "malformed PAX size"),
        "PAX size in hexadecimal": (layers(tar(pax({"size": "0x1"}), member("bin/a", b"x"))), "malformed PAX size"),
        "PAX size of 40 digits": (layers(tar(pax({"size": "9" * 40}), member("bin/a", b"x"))), "malformed PAX size"),
        "PAX name absolute": (layers(tar(pax({"path": "/etc/evil"}), member("bin/a", b"x"))), "absolute"),
        "PAX name empty": (layers(tar(pax({"path": ""}), member("bin/a", b"x"))), "ambiguous"),
        "PAX name of another entry": (layers(tar(GOOD, pax({"path": "bin/kubelet"}), member("bin/a", b"x"))), "twice"),
        "PAX link out": (
            layers(tar(GOOD, pax({"linkpath": "/etc/shadow"}), symlink("bin/s", "kubelet"))),
            "leaves /bin",
        ),
        "PAX sparse 0.1": (layers(tar(pax({"GNU.sparse.map": "0,1"}), member("bin/a", b"x"))), "sparse"),
        "PAX global link target": (layers(tar(pax({"linkpath": "x"}, b"g"), symlink("bin/s", "y"))), "global"),
        "PAX record with length zero": (layers(tar(member("p", b"0 path=a\n", typeflag=b"x"), GOOD)), "malformed PAX"),
        "PAX record without a newline": (layers(tar(member("p", b"9 path=ab", typeflag=b"x"), GOOD)), "malformed PAX"),
        "two PAX headers": (
            layers(tar(pax({"path": "bin/a"}), pax({"path": "bin/b"}), member("x", b"x"))),
            "two names",
        ),
        "name of 100 KiB": (layers(tar(GOOD, pax({"path": "bin/" + "a" * 100_000}), member("x", b"x"))), "too long"),
        "tail of a prefix field": (layers(tar(GOOD, member("x", b"x", prefix=b"bin/../.."))), "climbs"),
        "case of a name alone differs, in a folder that is a link": (
            layers(tar(GOOD, symlink("bin/D", "."), member("bin/d/x", b"x"), member("bin/D/x", b"y"))),
            "below a symbolic link",
        ),
        "setuid program for another machine": (
            layers(tar(member("bin/x", tars.ELF_ARM64, mode=0o4755))),
            "another machine",
        ),
        "32-bit program": (layers(tar(member("bin/x", b"\x7fELF\x01\x01" + bytes(60)))), "another machine"),
        "big-endian program": (layers(tar(member("bin/x", b"\x7fELF\x02\x02" + bytes(60)))), "another machine"),
    },
)


def _large_extensions() -> bytes:
    one = header("p", typeflag=b"g", size=1 << 20) + b"%d comment=" % (1 << 20) + b"x" * ((1 << 20) - 17) + b"\n"
    return tar(one[: 512 + (1 << 20)] * 33 + GOOD)


def _long_names() -> bytes:
    stem = "bin/" + ("a" * 250 + "/") * 15
    return flood(4_500, lambda number: pax({"path": f"{stem}{number}"}) + member("x"))


def _repeated(place: Place) -> None:
    """2 KB that unpack to 2 MB, named 500 times: a thousand times what the ratio allows."""
    content = tar(GOOD, header("bin/zero", size=2 << 20) + bytes(2 << 20))
    stored = gzip.compress(content, 6)
    image = tars.Image([stored] * 500, [content] * 500)
    put(tars.archive(dict(tars.documents(image, [RUNTIME]))))(place)


def many_layers(place: Place) -> None:
    image = tars.Image([tar(GOOD)] * 513, [tar(GOOD)] * 513)
    put(tars.archive(dict(tars.documents(image, [RUNTIME]))))(place)


LIMITS = table(
    "counts and ratios",
    extract,
    LimitError,
    {
        "members outside the wanted folders": (
            lambda place: layers(flood(10_001, lambda number: member(f"usr/{number}")))(place),
            "too many members",
        ),
        "extension headers without end": (
            lambda place: layers(tar(pax({"comment": "x"}, b"g") * 30_100))(place),
            "too many members",
        ),
        "extension headers of 1 MiB each": (
            lambda place: layers(_large_extensions())(place),
            "too much in extension headers",
        ),
        "names of 4 KiB each": (lambda place: layers(_long_names())(place), "names too long in all"),
        "one small layer five hundred times": (_repeated, "unpacks to too much"),
    },
)
ATTACKS: list[Attack] = SINGLE + MORE + LIMITS
