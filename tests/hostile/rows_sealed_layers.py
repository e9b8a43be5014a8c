"""Sealed archives: what their layers hold (bundle-format 3 and 6)."""

from bundles import oci
from bundles.errors import FormatError
from bundles.platform import Platform
from tests.hostile.corpus_model import Attack, table
from tests.hostile.making_sealed import PLAIN, PROGRAM, SEEK, documents, entries, layered
from tests.hostile.readers_under_attack import archive
from tests.hostile.rows_packings import frame, skippable, window
from tests.support.hostile import GOOD
from tests.support.releases import program
from tests.support.tars import END, folder, hardlink, header, member, pax, symlink, tar

CONTENT = table(
    "sealed layers",
    archive,
    FormatError,
    {
        "another diff id": (layered(PLAIN, PLAIN + bytes(512), oci.LAYER_TAR), "another diff id"),
        "seek table that lies": (layered(frame(PLAIN) + SEEK, PLAIN), "seek table that does not match"),
        "window of 64 MiB": (layered(window(26), b""), "zstd window too large"),
        "zstd bomb": (lambda place: layered(frame(bytes(8 << 20)) * 12, b"")(place), "unpacks to too much"),
        "frames without end": (
            lambda place: layered(skippable(b"") * 140_000, b"")(place),
            "too many compressed frames",
        ),
        "gzip called zstd": (layered(PLAIN, PLAIN, oci.LAYER_GZIP), "damaged gzip data"),
        "unknown media type": (layered(PLAIN, PLAIN, "application/x-unknown"), "unknown media type"),
        "foreign layer": (
            layered(PLAIN, PLAIN, "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"),
            "unknown media type",
        ),
        "image for another platform": (
            layered(PLAIN, PLAIN, oci.LAYER_TAR, platform=Platform(os="linux", architecture="arm64")),
            "an image for another platform",
        ),
        "image for another system": (
            layered(PLAIN, PLAIN, oci.LAYER_TAR, platform=Platform(os="windows", architecture="amd64")),
            "an image for another platform",
        ),
        "architecture that steers a terminal": (
            documents(config=lambda v: v.update(architecture="\x1b[2J")),
            r"platform[\s\S]*\\x1b",
        ),
        "history that is text": (
            documents(config=lambda v: v.update(history="x")),
            "unexpected JSON",
        ),
        "history without end": (
            documents(config=lambda v: v.update(history=[{}] * 300_000)),
            "too many JSON values",
        ),
        "two diff ids for one layer": (
            documents(config=lambda v: v["rootfs"]["diff_ids"].append("sha256:" + "0" * 64)),
            "do not belong together",
        ),
        "no diff ids": (documents(config=lambda v: v["rootfs"].update(diff_ids=[])), "do not belong together"),
        "manifest of another config": (
            documents(manifest=lambda v: v["config"].update(digest="sha256:" + "0" * 64)),
            "not in the archive",
        ),
        "config that containerd takes for an artifact's": (
            documents(manifest=lambda v: v["config"].update(mediaType="application/vnd.oci.image.config.v2+json")),
            "not the config of a container image",
        ),
        "config of another size than its manifest says": (
            documents(manifest=lambda v: v["config"].update(size=1)),
            "do not belong together",
        ),
        "config whose root is no list of layers": (
            documents(config=lambda v: v["rootfs"].update(type="layer")),
            "not the config of a container image",
        ),
        "manifest of another schema": (
            documents(manifest=lambda v: v.update(schemaVersion=1)),
            "unknown schema version",
        ),
        "manifest of one layer more": (
            documents(manifest=lambda v: v["layers"].append(v["layers"][0])),
            "do not belong",
        ),
        "size of a layer below zero": (
            documents(manifest=lambda v: v["layers"][0].update(size=-1)),
            "does not fit|another member",
        ),
        "program for another machine": (
            layered(
                tar(member("bin/k", program(b"", Platform(os="linux", architecture="arm64")))),
                tar(member("bin/k", program(b"", Platform(os="linux", architecture="arm64")))),
                oci.LAYER_TAR,
            ),
            "for another machine",
        ),
        "32-bit program": (entries(member("bin/x", b"\x7fELF\x01\x01" + bytes(60))), "neither a 64-bit ELF"),
        "program cut short": (entries(member("bin/x", b"\x7fELF\x02\x01")), "neither a 64-bit ELF"),
        "entry that climbs": (entries(member("bin/../../x", b"x")), "leaves the layer|climbs"),
        "absolute entry": (entries(member("/bin/x", b"x")), "leaves the layer|absolute"),
        "entry with ./": (entries(member("./bin/x", b"x")), "leaves the layer|ambiguous"),
        "entry twice": (entries(PROGRAM), "twice"),
        "hard link": (entries(hardlink("bin/x", "bin/kubelet")), "no file, folder or symlink"),
        "device": (entries(header("dev/null", typeflag=b"3")), "no file, folder or symlink"),
        "FIFO": (entries(header("bin/x", typeflag=b"6")), "no file, folder or symlink"),
        "sparse": (entries(header("bin/x", typeflag=b"S")), "no file, folder or symlink|sparse"),
        "setuid": (entries(member("bin/x", program(b""), mode=0o4755)), "special mode bits"),
        "PAX size": (entries(pax({"size": "1"}), member("bin/x", b"x")), "PAX record that does not belong"),
        "PAX sparse": (
            entries(pax({"GNU.sparse.major": "1"}), member("bin/x", b"x")),
            "PAX record that does not belong",
        ),
        "PAX header of 1 MiB": (entries(header("p", typeflag=b"x", size=1 << 20)), "PAX record too large"),
        "PAX name with an escape sequence": (
            entries(pax({"path": "bin/\x1b[2J"}), member("x", program(b""))),
            "control characters",
        ),
        "folder with a body": (entries(header("d/", typeflag=b"5", size=512), bytes(512)), "with a body"),
        "file where a folder is": (entries(folder("bin/kubelet")), "twice"),
        "entries without end": (
            lambda place: entries(*(folder(f"d{n}") for n in range(10_001)))(place),
            "too many entries",
        ),
        "cut short": (layered(PLAIN[:700], PLAIN[:700], oci.LAYER_TAR), "cut short"),
        "no end": (layered(PLAIN[: -len(END)], PLAIN[: -len(END)], oci.LAYER_TAR), "cut short"),
        "data after the end": (layered(PLAIN + GOOD, PLAIN + GOOD, oci.LAYER_TAR), "after the end"),
        "no programs": (
            layered(tar(member("charts/a", b"x")), tar(member("charts/a", b"x")), oci.LAYER_TAR),
            "no programs in /bin",
        ),
        "no programs but one that is whited out": (entries(member("bin/.wh.kubelet")), "neither a 64-bit ELF|whiteout"),
        "whiteout": (entries(member("charts/.wh.a")), "whiteout in a sealed layer"),
        "/bin as a link": (entries(symlink("charts", "/etc")), "must be a folder"),
        "file where a folder must be": (
            entries(member("bin/a/b", program(b"")), member("bin/a", program(b""))),
            "below",
        ),
        "link to nothing at all": (entries(pax({"linkpath": ""}), symlink("bin/x", "y")), "leaves /bin"),
        "link out of /bin": (entries(symlink("bin/kubectl", "/etc/passwd")), "leaves"),
        "link that climbs out": (entries(symlink("bin/kubectl", "../../etc/passwd")), "leaves"),
        "entry below a link": (entries(symlink("bin/d", "."), member("bin/d/x", program(b""))), "below"),
        "entry below a file": (entries(member("bin/kubelet/x", program(b""))), "below"),
    },
)
ATTACKS: list[Attack] = CONTENT
