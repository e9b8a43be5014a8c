"""Archives in agent/images: their outer tar (bundle-format 6, foreign profile)."""

import os

from bundles.errors import MissingError
from tests.hostile.corpus_model import Attack, table
from tests.hostile.making_archives import OTHER, WHOLE, extra, resummed, special
from tests.hostile.readers_under_attack import RUNTIME, extract
from tests.hostile.rows_layers import put
from tests.support import tars
from tests.support.tars import END, folder, gnu_long, hardlink, header, member, pax, symlink, tar

TAR = table(
    "outer tar",
    extract,
    MissingError,
    {
        "name with ./": (put(tar(member("./manifest.json", b"[]"))), r"ambiguous name[\s\S]*do not begin with \./"),
        "name that climbs": (extra(member("../manifest.json", b"[]")), "climbs"),
        "absolute name": (extra(member("/etc/cron.d/x", b"x")), "absolute"),
        "name with //": (extra(member("blobs//x", b"x")), "ambiguous"),
        "empty name": (extra(member("", b"x")), "ambiguous"),
        "name with an escape sequence": (extra(member("\x1b[2Jx", b"x")), "control characters"),
        "name with a NUL inside": (extra(member(b"x\x00y", b"x")), "NUL inside"),
        "hard link": (extra(hardlink("x", "manifest.json")), "links and special files"),
        "character device": (extra(header("null", typeflag=b"3")), "links and special files"),
        "FIFO": (extra(header("pipe", typeflag=b"6")), "links and special files"),
        "link that leaves": (extra(symlink("x", "../../etc/passwd")), "a link that leaves"),
        "absolute link": (extra(symlink("x", "/etc/passwd")), "a link that leaves"),
        "sparse member of 1 TiB": (extra(pax({"GNU.sparse.realsize": str(1 << 40)}), member("x", b"x")), "sparse"),
        "old sparse member": (extra(header("x", typeflag=b"S")), "sparse"),
        "manifest.json twice, by a prefix of a GNU header": (
            extra(member("x", b"[]", magic=b"ustar  \x00", prefix=b"blobs")),
            "take for two",
        ),
        "manifest.json twice": (extra(member("manifest.json", b"[]")), "one name twice"),
        "manifest.json twice, once as a folder": (extra(folder("manifest.json")), "one name twice"),
        "manifest.json twice, by a PAX name": (
            extra(pax({"path": "manifest.json"}), member("x", b"[]")),
            "one name twice",
        ),
        "manifest.json twice, by a GNU name": (extra(gnu_long(b"manifest.json"), member("x", b"[]")), "one name twice"),
        "manifest.json as a link": (
            put(tar(member("x", b"[]"), symlink("manifest.json", "x"))),
            "must be a regular file",
        ),
        "index.json as a folder": (put(tar(member("manifest.json", b"[]"), folder("index.json"))), "must be a regular"),
        "PAX size other than the header's": (extra(pax({"size": "0"}), member("x", b"y")), "two different sizes"),
        "PAX size of 4 EiB": (extra(pax({"size": str(1 << 62)}), member("x", b"y")), "truncated"),
        "PAX header of 8 MiB": (extra(header("p", size=8 << 20, typeflag=b"x")), "too large|truncated"),
        "global PAX name": (extra(pax({"path": "manifest.json"}, b"g")), "global"),
        "size in base 256, negative": (extra(header("x", size=b"\xff" * 12)), "malformed size"),
        "size in base 256, beyond any disk": (extra(header("x", size=b"\x80" + b"\x7f" * 11)), "malformed size"),
        "size with a sign": (extra(header("x", size=b"-0000000001\x00")), "malformed size"),
        "mode of octal garbage": (extra(resummed(header("x"), 100, b"0000xyz\x00")), "malformed mode"),
        "checksum of another header": (extra(WHOLE[:148] + b"0000000\x00" + WHOLE[156:512]), "checksum"),
        "unknown member type": (extra(header("x", typeflag=b"V")), "unknown type"),
        "cut in the first header": (put(WHOLE[:300]), "truncated"),
        "cut between header and body": (put(WHOLE[:512]), "truncated"),
        "cut in a body": (put(WHOLE[:700]), "truncated"),
        "cut before the end marker": (put(WHOLE[: -len(END)]), "truncated"),
        "cut in the end marker": (put(WHOLE[:-512]), "truncated"),
        "empty file": (put(b""), "truncated"),
        "end marker alone": (put(END), "neither manifest.json nor index.json"),
        "bytes after the end": (put(WHOLE + b"x" * 512), "data after the end"),
        "second archive behind the first": (put(WHOLE + tars.new_docker(OTHER, RUNTIME)), "data after the end"),
        "two megabytes of zeros behind it": (put(WHOLE + bytes(2 << 20)), "too much after the end"),
        "one zero block in the middle": (put(WHOLE[:512] + bytes(512) + WHOLE[512:]), "zero|tar header|manifest"),
        "a folder of that name": (special(lambda path: path.mkdir()), "no image"),
        "a FIFO of that name": (special(os.mkfifo), "not a regular file"),
        "a link to a device": (special(lambda path: path.symlink_to("/dev/zero")), "not a regular file"),
        "a link to nothing": (special(lambda path: path.symlink_to("/nowhere")), "no such file"),
        "a link to itself": (special(lambda path: path.symlink_to(path.name)), "cannot be opened"),
        "no archive at all": (put(b"hello" * 1000), "not a tar header"),
    },
)
ATTACKS: list[Attack] = TAR
