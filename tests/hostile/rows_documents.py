"""Archives in agent/images: the documents inside (bundle-format 6, foreign profile)."""

from bundles.errors import FormatError, MissingError, UsageError
from tests.hostile.corpus_model import Attack, table
from tests.hostile.making_archives import (
    ARM,
    BLOB,
    CONFIG,
    IMAGE,
    LAYER,
    OTHER,
    WHOLE,
    edited,
    inside,
    lone,
    manifest_of,
    nested,
    objects,
    tags,
    text,
    two_objects,
    with_config,
)
from tests.hostile.readers_under_attack import RUNTIME, extract, extract_any
from tests.hostile.rows_layers import many_layers, put
from tests.support import tars

DOCUMENTS = table(
    "two views, digests, sizes",
    extract,
    MissingError,
    {
        "config of another image in manifest.json": (
            edited("manifest.json", lambda v: v[0].update(Config=BLOB)),
            "not JSON|config",
        ),
        "config that is not there": (
            edited("manifest.json", lambda v: v[0].update(Config="blobs/sha256/" + "0" * 64)),
            "not in the archive",
        ),
        "config by a climbing path": (
            edited("manifest.json", lambda v: v[0].update(Config="../../etc/passwd")),
            "not in the archive",
        ),
        "layer by an absolute path": (
            edited("manifest.json", lambda v: v[0].update(Layers=["/etc/passwd"])),
            "not in the archive",
        ),
        "layer twice": (
            edited("manifest.json", lambda v: v[0].update(Layers=v[0]["Layers"] * 2)),
            "another number of layers",
        ),
        "no layers": (edited("manifest.json", lambda v: v[0].update(Layers=[])), "another number of layers"),
        "layers are text": (edited("manifest.json", lambda v: v[0].update(Layers="x")), "unexpected JSON"),
        "another name": (edited("manifest.json", lambda v: v[0].update(RepoTags=[RUNTIME + "x"])), "disagree"),
        "malformed tag": (
            edited("manifest.json", lambda v: v[0].update(RepoTags=["rancher/x:v1+2"])),
            "malformed RepoTags",
        ),
        "tag with an escape sequence": (
            edited("manifest.json", lambda v: v[0].update(RepoTags=["a/b:\x1b[2J"])),
            r"malformed RepoTags[\s\S]*\\x1b",
        ),
        "tag in look-alike letters": (
            edited("manifest.json", lambda v: v[0].update(RepoTags=["r\u0430ncher/rke2-runtime:v1"])),
            r"malformed RepoTags[\s\S]*\\u0430",
        ),
        "tag that is a digest": (
            edited("manifest.json", lambda v: v[0].update(RepoTags=["a/b@sha256:" + "0" * 64])),
            "malformed RepoTags",
        ),
        "tag without a tag": (
            edited("manifest.json", lambda v: v[0].update(RepoTags=["rancher/rke2-runtime"])),
            "malformed RepoTags",
        ),
        "name of 300 characters": (
            edited("manifest.json", lambda v: v[0].update(RepoTags=["a" * 300 + ":v1"])),
            "name too long",
        ),
        "LayerSources with another digest": (
            edited(
                "manifest.json",
                lambda v: v[0].update(
                    LayerSources={
                        f"sha256:{tars.sha256(LAYER)}": {
                            "mediaType": "x",
                            "digest": "sha256:" + "0" * 64,
                            "size": len(LAYER),
                        }
                    }
                ),
            ),
            "LayerSources and Layers disagree",
        ),
        "LayerSources with another size": (
            edited(
                "manifest.json",
                lambda v: v[0].update(
                    LayerSources={
                        f"sha256:{tars.sha256(LAYER)}": {
                            "mediaType": "x",
                            "digest": f"sha256:{tars.sha256(LAYER)}",
                            "size": 1,
                        }
                    }
                ),
            ),
            "LayerSources and Layers disagree",
        ),
        "513 layers": (many_layers, "too many layers"),
        "one tag for two images": (inside(two_objects), "one tag for two images"),
        "index.json names nothing": (edited("index.json", lambda v: v.update(manifests=[])), "disagree"),
        "index.json names a blob that is not there": (
            edited("index.json", lambda v: v["manifests"][0].update(digest="sha256:" + "1" * 64)),
            "a blob that is not there",
        ),
        "index.json with another size": (
            edited("index.json", lambda v: v["manifests"][0].update(size=1)),
            "wrong size",
        ),
        "index.json with a negative size": (
            edited("index.json", lambda v: v["manifests"][0].update(size=-1)),
            "wrong size",
        ),
        "index.json with a size of 100 digits": (
            text("index.json", lambda data: data.replace(b'"size": ', b'"size": 1' + b"0" * 99)),
            "integer beyond 64 bits",
        ),
        "index.json with another name": (
            edited(
                "index.json",
                lambda v: v["manifests"][0]["annotations"].update({"io.containerd.image.name": RUNTIME + "x"}),
            ),
            "disagree",
        ),
        "index.json with a digest of another kind": (
            edited("index.json", lambda v: v["manifests"][0].update(digest="md5:" + "0" * 32)),
            "not a digest",
        ),
        "index.json with an upper-case digest": (
            edited("index.json", lambda v: v["manifests"][0].update(digest=v["manifests"][0]["digest"].upper())),
            "not a digest",
        ),
        "manifest of another schema": (manifest_of(lambda v: v.update(schemaVersion=1)), "unknown schema version"),
        "manifest with another config": (
            manifest_of(lambda v: v["config"].update(digest=f"sha256:{tars.sha256(LAYER)}", size=len(LAYER))),
            "not JSON|disagree|wrong digest",
        ),
        "manifest with another config size": (
            manifest_of(lambda v: v["config"].update(size=1)),
            "config with a wrong digest or size",
        ),
        "manifest with another layer size": (
            manifest_of(lambda v: v["layers"][0].update(size=1)),
            "blob with a wrong size",
        ),
        "manifest with another layer": (
            manifest_of(lambda v: v["layers"][0].update(digest="sha256:" + "3" * 64)),
            "disagree",
        ),
        "manifest with one layer more": (
            manifest_of(lambda v: v["layers"].append(v["layers"][0])),
            "another number of layers",
        ),
        "manifest without layers": (manifest_of(lambda v: v.pop("layers")), "missing required field"),
        "manifest that is not what its digest says": (
            inside(
                lambda files: files.update(
                    {
                        f"blobs/sha256/{tars.sha256(IMAGE.manifest_bytes)}": IMAGE.manifest_bytes.replace(
                            b"schema", b"Schema"
                        )
                    }
                )
            ),
            "wrong digest",
        ),
        "config that is not what its digest says": (
            inside(lambda files: files.update({CONFIG: OTHER.config_bytes})),
            "wrong digest",
        ),
        "config of another kind": (with_config(rootfs={"type": "base", "diff_ids": []}), "list of layers"),
        "config without diff ids": (with_config(rootfs={"type": "layers"}), "missing required field"),
        "config with an os that is a path": (with_config(os="../../etc"), "not a platform"),
        "config with an escape as its architecture": (with_config(architecture="\x1b[31m"), "not a platform"),
        "foreign layer with a URL, bytes absent": (
            manifest_of(
                lambda v: v["layers"][0].update(digest="sha256:" + "4" * 64, urls=["https://example.invalid/x"])
            ),
            "disagree",
        ),
        "indexes nested without end": (nested, "too many indexes"),
        "tags without end": (tags, "too many tags"),
        "images without end": (objects, "too many images"),
        "document of 9 MiB": (
            inside(lambda files: files.update({"manifest.json": b"[" + b" " * (9 << 20) + b"]"})),
            "document too large",
        ),
    },
)
CONTENT = table(
    "two views, digests, sizes",
    extract,
    FormatError,
    {
        "layer that is not what its digest says": (
            inside(lambda files: files.update({BLOB: LAYER[:600] + b"x" + LAYER[601:]})),
            "digest",
        ),
        "layer with another diff id": (
            with_config(rootfs={"type": "layers", "diff_ids": ["sha256:" + "5" * 64]}),
            "diff id",
        ),
        "image for another machine": (put(tars.new_docker(ARM, RUNTIME)), "another platform"),
        "image for another system": (with_config(os="windows"), "another platform"),
        "one tag in two archives for two images": (
            lambda place: lone(place, ("a.tar", WHOLE), ("b.tar", tars.new_docker(OTHER, RUNTIME))),
            "two images are called",
        ),
        "one tag in two archives for two platforms": (
            lambda place: lone(place, ("a.tar", WHOLE), ("b.tar", tars.new_docker(ARM, RUNTIME))),
            "two images are called",
        ),
        "one tag spelled in two ways": (
            lambda place: lone(
                place,
                ("a.tar", WHOLE),
                ("b.tar", tars.new_docker(OTHER, RUNTIME.replace("docker.io", "index.docker.io"))),
            ),
            "two images are called",
        ),
    },
)
AMBIGUOUS = table(
    "two views, digests, sizes",
    extract_any,
    UsageError,
    {
        "two runtime images and no name": (
            lambda place: lone(
                place,
                ("a.tar", WHOLE),
                ("b.tar", tars.new_docker(OTHER, "evil.example/rancher/rke2-runtime:v1.34.4-rke2r1")),
            ),
            "several runtime images",
        ),
    },
)
ATTACKS: list[Attack] = DOCUMENTS + CONTENT + AMBIGUOUS
