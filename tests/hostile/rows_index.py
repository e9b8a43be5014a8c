"""bundle.json: as text, and against the bundle (bundle-format 4 and 6)."""

import json

from bundles.errors import FormatError
from tests.hostile.corpus_model import Attack, table
from tests.hostile.making_bundles import archives, files, lie, spelled
from tests.hostile.readers_under_attack import stage
from tests.support.bundles import RUNTIME, SUMS

TEXT = table(
    "index as text",
    stage,
    FormatError,
    {
        "a key twice": (
            spelled(lambda data: data.replace(b'{"archives"', b'{"name":"x","archives"')),
            "duplicate JSON key",
        ),
        "wrong case": (lie(lambda v: v.update(Name="x")), "wrong case"),
        "blanks": (spelled(lambda data: data.replace(b'":', b'": ')), "not canonical"),
        "no line end": (spelled(lambda data: data[:-1]), "not canonical"),
        "keys in another order": (
            spelled(lambda data: json.dumps(dict(reversed(json.loads(data).items()))).encode()),
            "not canonical",
        ),
        "needless escapes": (spelled(lambda data: data.replace(b"rke2", b"\\u0072ke2")), "not canonical"),
        "NaN": (spelled(lambda data: data.replace(b'"sequence":1', b'"sequence":NaN')), "no NaN"),
        "infinity as a number": (spelled(lambda data: data.replace(b'"sequence":1', b'"sequence":1e999')), "no NaN"),
        "a fraction": (spelled(lambda data: data.replace(b'"sequence":1', b'"sequence":1.0')), "integers only"),
        "an integer of 400 digits": (
            spelled(lambda data: data.replace(b'"sequence":1', b'"sequence":1' + b"0" * 400)),
            "beyond 64 bits",
        ),
        "an integer of 5000 digits": (
            spelled(lambda data: data.replace(b'"sequence":1', b'"sequence":1' + b"0" * 5000)),
            "beyond 64 bits",
        ),
        "half a surrogate pair": (
            spelled(lambda data: data.replace(b'"name":"rke2"', b'"name":"\\ud800"')),
            "surrogate",
        ),
        "UTF-16": (spelled(lambda data: data.decode().encode("utf-16")), "not UTF-8"),
        "UTF-32": (spelled(lambda data: data.decode().encode("utf-32-le")), "not JSON|not UTF-8"),
        "byte order mark": (spelled(lambda data: b"\xef\xbb\xbf" + data), "not JSON"),
        "overlong UTF-8": (spelled(lambda data: data.replace(b"rke2", b"\xc1\xb2ke2")), "not UTF-8"),
        "two documents": (spelled(lambda data: data + data), "not JSON"),
        "nested without end": (
            spelled(lambda data: data.replace(b'"files":', b'"x":' + b"[" * 100_000 + b"]" * 100_000 + b',"files":')),
            "nested too deeply",
        ),
        "values without end": (
            spelled(lambda data: data.replace(b'"files":', b'"x":[' + b"[]," * 400_000 + b'1],"files":')),
            "too many JSON values",
        ),
        "9 MiB": (
            spelled(lambda data: data.replace(b'"files":', b'"x":"' + b"a" * (9 << 20) + b'","files":')),
            "too large",
        ),
        "empty": (spelled(lambda data: b""), "not JSON"),
        "a list": (spelled(lambda data: b"[]\n"), "unknown bundle format"),
        "cut short": (spelled(lambda data: data[: len(data) // 2]), "not JSON"),
        "format 2.0": (lie(lambda v: v.update(format="2.0")), "unknown bundle format"),
        "format as a number": (lie(lambda v: v.update(format=2)), "unknown bundle format"),
        "format with an escape sequence": (lie(lambda v: v.update(format="\x1b[2J1.0")), "unknown bundle format"),
        "no format": (lie(lambda v: v.pop("format")), "unknown bundle format"),
    },
)
FIELDS = table(
    "index against the bundle",
    stage,
    FormatError,
    {
        "name that climbs": (lie(lambda v: v.update(name="../../evil")), "not a bundle's name"),
        "name that is absolute": (lie(lambda v: v.update(name="/etc")), "not a bundle's name"),
        "name with a NUL": (lie(lambda v: v.update(name="a\x00b")), "not a bundle's name"),
        "name with a line end": (
            lie(lambda v: v.update(name="rke2\nerror: all is well")),
            r"not a bundle's name[\s\S]*\\n",
        ),
        "name with an escape sequence": (lie(lambda v: v.update(name="\x1b[2J")), r"not a bundle's name[\s\S]*\\x1b"),
        "name of a temporary file": (lie(lambda v: v.update(name=".sealift-x")), "not a bundle's name"),
        "name of 300 characters": (lie(lambda v: v.update(name="a" * 300)), "not a bundle's name"),
        "name in look-alike letters": (
            lie(lambda v: v.update(name="rk\u0435" + "2")),
            r"not a bundle's name[\s\S]*\\u0435",
        ),
        "name written backwards": (lie(lambda v: v.update(name="\u202egpj.exe")), r"not a bundle's name[\s\S]*\\u202e"),
        "version that climbs": (lie(lambda v: v.update(version="v1/../../x")), "not a bundle's version"),
        "flavour that climbs": (lie(lambda v: v.update(flavour="../x")), "not a bundle's flavour"),
        "platform that climbs": (lie(lambda v: v.update(platform="linux/../../x")), "not a platform"),
        "platform of one word": (lie(lambda v: v.update(platform="linux")), "not a platform"),
        "another platform": (lie(lambda v: v.update(platform="linux/arm64")), "another platform"),
        "another time": (lie(lambda v: v.update(created=5)), "not the header that belongs here"),
        "time below zero": (lie(lambda v: v.update(created=-1)), "out of range"),
        "time beyond any header": (lie(lambda v: v.update(created=1 << 40)), "out of range"),
        "sequence below zero": (lie(lambda v: v.update(sequence=-1)), "out of range"),
        "lock of another kind": (lie(lambda v: v.update(lock={"sha256": "md5:1"})), "not a digest"),
        "no archives": (lie(lambda v: v.update(archives=[])), "disagree"),
        "no images": (lie(lambda v: v.update(images=[])), "disagree"),
        "archive twice": (lie(lambda v: v["archives"].append(v["archives"][0])), "listed twice"),
        "archive path climbs": (archives(path="images/../../x.tar"), "may not stand in a bundle"),
        "archive path absolute": (archives(path="/etc/x.tar"), "may not stand in a bundle"),
        "archive path with a NUL": (archives(path="images/a\x00.tar"), "may not stand in a bundle"),
        "archive path with a line end": (archives(path="images/a\n.tar"), "may not stand in a bundle"),
        "archive path with an escape sequence": (archives(path="images/\x1b[31m.tar"), r"may not stand[\s\S]*\\x1b"),
        "archive path with a backslash": (archives(path="images\\x.tar"), "may not stand in a bundle"),
        "archive path with ./": (archives(path="./images/x.tar"), "may not stand in a bundle"),
        "archive path hidden": (archives(path="images/.x.tar"), "may not stand in a bundle"),
        "archive path not ASCII": (archives(path="images/\u202ex.tar"), "may not stand in a bundle"),
        "archive path of 300 characters": (archives(path="images/" + "a" * 300 + ".tar"), "may not stand in a bundle"),
        "archive elsewhere": (archives(path="lists/x.tar"), "an archive in the wrong place"),
        "archive deeper": (archives(path="images/x/y.tar"), "an archive in the wrong place"),
        "archive called zst": (archives(path="images/x.tar.zst"), "an archive in the wrong place"),
        "archive is the index": (archives(path="bundle.json"), "may not be listed"),
        "archive of another size": (archives(size=1024), "another size than bundle.json says"),
        "archive of a size below zero": (archives(size=-1), "another size"),
        "archive of no blobs": (archives(blobs=[]), "other blobs than bundle.json says"),
        "archive of no images": (archives(images=[]), "disagree"),
        "archive's blob elsewhere": (
            lie(lambda v: v["archives"][0]["blobs"][0].update(offset=512)),
            "another blob than",
        ),
        "archive's blob of another size": (
            lie(lambda v: v["archives"][0]["blobs"][0].update(size=1)),
            "another blob than",
        ),
        "archive's blob of another digest": (
            lie(lambda v: v["archives"][0]["blobs"][0].update(digest="sha256:" + "0" * 64)),
            "another blob than",
        ),
        "archive's frames": (lie(lambda v: v["archives"][0]["blobs"][-1].update(frames=[[1, 1]])), "other frames than"),
        "archive's frames below zero": (
            lie(lambda v: v["archives"][0]["blobs"][-1].update(frames=[[-1, -1]])),
            "other frames than",
        ),
        "frames of text": (lie(lambda v: v["archives"][0]["blobs"][-1].update(frames=[["1", "1"]])), "unexpected JSON"),
        "image of another digest": (
            lie(lambda v: v["images"][1].update(digest="sha256:" + "0" * 64)),
            "another image than bundle.json says",
        ),
        "image in another archive": (lie(lambda v: v["images"][1].update(archive=RUNTIME)), "disagree"),
        "image by another name": (lie(lambda v: v["images"][1].update(reference="docker.io/rancher/x:y")), "disagree"),
        "image whose name steers a terminal": (
            lie(lambda v: v["images"][1].update(reference="\x1b]0;pwned\x07")),
            r"disagree[\s\S]*\\x1b\]0",
        ),
        "image whose name forges a line": (
            lie(lambda v: v["images"][1].update(reference="x\nok: all is well")),
            "disagree",
        ),
        "image twice": (lie(lambda v: v["images"].append(v["images"][0])), "disagree"),
        "runtime of another digest": (
            lie(lambda v: v["runtime"].update(digest="sha256:" + "0" * 64)),
            "not among the images",
        ),
        "runtime by another name": (
            lie(lambda v: v["runtime"].update(reference="docker.io/rancher/rke2-runtime:v9")),
            "not among the images",
        ),
        "runtime under another key": (lie(lambda v: v["runtime"].update(key="../../etc")), "not the runtime image's"),
        "runtime in another archive": (
            lie(lambda v: v["runtime"].update(v["images"][1] | {"key": "x"})),
            "alone in its archive|unexpected|not among",
        ),
        "file path climbs": (files(path="../x"), "may not stand in a bundle"),
        "file in images": (files(path="images/pull.txt"), "only archives may lie in images/"),
        "file is the sums": (files(path=SUMS), "may not be listed"),
        "file is a signature": (files(path="bundle.json.sig"), "may not be listed"),
        "file of another digest": (files(sha256="sha256:" + "0" * 64), "a damaged file"),
        "file of another size": (files(size=3), "another size than bundle.json says"),
        "file of a size below zero": (files(size=-5), "another size than bundle.json says"),
    },
)
ATTACKS: list[Attack] = TEXT + FIELDS
