"""A daemon's Node for tests, and a `ctr` that keeps its image records in a folder."""

import sys
import time
from collections.abc import Callable
from pathlib import Path

from runtime.configs.containerd import Host
from runtime.daemon.context import Node
from runtime.host import HostFacts
from runtime.layout import NodeLayout
from runtime.nodeconf.model import Role
from runtime.nodeconf.parse import Machine, parse
from runtime.nodeconf.settings import from_flags
from runtime.nodepaths import NodePaths
from tests.support.programs import SYSTEM_PATH
from tests.support.releases import AMD64

# Image records are lines `name digest labels`. An import reads the archive's index.json, as containerd does.
FAKE_CTR = (
    f"#!{sys.executable} -S\n"
    """
import fcntl, json, pathlib, sys, tarfile
store = pathlib.Path({store!r})
lock = (store / "lock").open("w")
fcntl.flock(lock, fcntl.LOCK_EX)
words = sys.argv[sys.argv.index("images") + 1:]
with (store / "calls").open("a") as calls:
    calls.write(" ".join(words) + "\\n")
path = store / "images"
records = dict()
for line in path.read_text().splitlines() if path.exists() else []:
    name, digest, labels = line.split(" ")
    records[name] = (digest, labels)
match words[0]:
    case "ls":
        print("REF TYPE DIGEST SIZE PLATFORMS LABELS")
        for name, (digest, labels) in records.items():
            print(name, "application/vnd.oci.image.manifest.v1+json", digest, "1.0 KiB linux/amd64", labels)
    case "import":
        with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as archive:
            for member in archive:
                if member.name == "index.json":
                    index = json.load(archive.extractfile(member))
        for manifest in index["manifests"]:
            records[manifest["annotations"]["io.containerd.image.name"]] = (manifest["digest"], "managed=yes")
    case "label":
        digest, labels = records[words[1]]
        found = dict(pair.split("=", 1) for pair in labels.split(",") if "=" in pair)
        found.update(pair.split("=", 1) for pair in words[2:])
        records[words[1]] = (digest, ",".join(f"{{k}}={{v}}" for k, v in found.items() if v) or "-")
    case "tag":
        source, *targets = [word for word in words[1:] if not word.startswith("--")]
        records.update((target, records[source]) for target in targets)
path.write_text("".join(f"{{n}} {{d}} {{l}}\\n" for n, (d, l) in records.items()))
"""
)


def make_test_node(
    data: Path,
    programs: Path,
    *,
    role: Role = "server",
    say: Callable[[str], None] = lambda line: None,
    allow_unlisted: bool = False,
    flags: tuple[tuple[str, str], ...] = (),
    environment: dict[str, str] | None = None,
) -> Node:
    """A node at `data` whose programs are in `programs`; all other folders are beside `data`."""
    machine = Machine(hostname="node1", address=None)
    paths = NodePaths(
        data=data, etc=data.parent / "etc", state=data.parent / "state", kubelet_root=data.parent / "kubelet"
    )
    settings = from_flags([("node-ip", "192.0.2.10"), *flags])
    config = parse(settings, role=role, paths=paths, machine=machine, where="test").config
    host = HostFacts(machine=machine, containerd=Host(systemd=False, keeps_oom_score=True), ssl_folders=())
    node = Node(
        configured=config,
        layout=NodeLayout.at(data),
        host=host,
        platform=AMD64,
        environment={"PATH": SYSTEM_PATH, **(environment or {})},
        began=time.time(),
        clock=time.monotonic,
        say=say,
        allow_unlisted=allow_unlisted,
    )
    node.found.bin = programs
    return node


# Objects are files NAMESPACE.KIND.NAME with their JSON; a ConfigMap called refuse-me is refused, the others applied.
FAKE_KUBECTL = (
    f"#!{sys.executable}\n"
    """
import json, pathlib, sys, yaml
store = pathlib.Path({store!r})
with (store / "calls").open("a") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\\n")
code = 0
for document in yaml.safe_load_all(sys.stdin):
    if not document:
        continue
    metadata = document["metadata"]
    path = store / ".".join([metadata.get("namespace", ""), document["kind"], metadata["name"]])
    if "delete" in sys.argv:
        path.unlink(missing_ok=True)
    elif metadata["name"] == "refuse-me":
        print("admission says no", file=sys.stderr)
        code = 1
    else:
        path.write_text(json.dumps(document))
sys.exit(code)
"""
)
