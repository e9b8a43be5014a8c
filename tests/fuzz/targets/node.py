"""What a node gets from others: configuration, manifests, certificates, and the words of the programs it runs."""

import json
import os
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec

from builder.sources.gomod import Module
from bundles.datakey import data_key
from bundles.digest import Digest
from bundles.errors import Problem, ProblemsError
from bundles.platform import Platform
from bundles.reference import Reference
from runtime.arguments import command_line
from runtime.daemon.actions.sandboxes import parse_sandboxes
from runtime.daemon.addons import injected, objects_in
from runtime.daemon.archives import extra_names
from runtime.daemon.ctr import parse_images
from runtime.etcd.bolt import Database, make_new, member_names
from runtime.etcd.gateway import read_status
from runtime.etcd.members import judge, membership_of, read_members
from runtime.etcd.sharedkeys import pairs
from runtime.joining.bootstrap import check_shared, read_bootstrap
from runtime.joining.clusterdoc import cluster_document
from runtime.joining.members import read_application
from runtime.nodeconf.model import Role
from runtime.nodeconf.parse import parse
from runtime.nodeconf.read import parse_text
from runtime.nodeconf.settings import merge
from runtime.pki.certificates import (
    Signer,
    certificate_pem,
    key_pem,
    make_authority,
    make_leaf,
    read_chain,
    read_key,
    reason_to_renew,
)
from runtime.pki.plan import CLIENT_CA, server_leaves
from runtime.prove.cgroups import hierarchies
from runtime.prove.images import listed
from runtime.reset.mounts import mounts_below
from runtime.reset.rules import without_ours
from runtime.reset.tasks import netns_of, socket_of
from runtime.secretkeys.config import SecretKey, read_keys, write_keys
from tests.fuzz import examples, modes
from tests.fuzz.model import Target, taken
from tests.support.gateways import database, key_value, row
from tests.support.nodes import MACHINE, NOW, node_config, node_paths

_HASH: Final = examples.digest_of("x")
_KEY: Final = ec.derive_private_key(7, ec.SECP256R1())
_NODE: Final = node_config(Path("/node"))
_ROLES: Final[tuple[Role, ...]] = ("server", "agent")
_ROOT: Final = Path("/node")


def _config(data: bytes) -> bool:
    text = data.decode("utf-8", "replace")
    problems: list[Problem] = []
    settings = taken(lambda: parse_text(text, "config.yaml", problems))
    if settings is None:
        return False
    if problems:
        str(ProblemsError("config.yaml", problems)).encode()
    for role in _ROLES:
        found = taken(
            parse, merge({}, settings), role=role, paths=node_paths(_ROOT), machine=MACHINE, where="config.yaml"
        )
        if found is not None:
            config = found.config
            _ = (config.service_ips, config.api_url, [reference.encode() for reference in config.images.values()])
            command_line({"a": "b"}, config.extra("kubelet"))
    return not problems


def _manifest(data: bytes) -> bool:
    found = taken(lambda: objects_in(data, "input"))
    for by_default in (False, True):
        made = taken(injected, data, {"a": "b"}, "input", by_default=by_default)
        if made is not None and made != data:
            documents = [json.loads(line) for line in made.split(b"\n") if line]
            assert b'"a": "b"' in made and all(isinstance(document, dict) for document in documents)
    return found is not None


def _certificate(data: bytes) -> bool:
    chain, key = taken(lambda: read_chain(data, "input")), taken(lambda: read_key(data, "input"))
    if chain is not None:
        reason_to_renew(chain[0], server_leaves(_NODE)[0], _KEY, chain[-1], NOW)
    return chain is not None or key is not None


def _names(data: bytes) -> bool:
    text = data.decode("utf-8", "replace")
    reference = taken(lambda: Reference.parse(text))
    if reference is not None:
        assert Reference.parse(reference.name).name == reference.name
        assert Reference.parse(reference.index_name).repository == reference.repository
        assert Reference.parse(reference.familiar).name == reference.name
        taken(lambda: data_key(reference))
        extra_names(reference.name, Digest.of(data), "registry.test")
    platform = taken(lambda: Platform.parse(text))
    assert platform is None or Platform.parse(str(platform)) == platform
    digest = taken(lambda: Digest.parse(text))
    assert digest is None or str(digest) == text
    module = taken(lambda: Module.parse(text))
    assert module is None or str(module) == text
    return any(each is not None for each in (reference, platform, digest))


def _words(data: bytes) -> bool:
    text = data.decode("utf-8", "replace")
    rows = [taken(lambda: parse_images(text)), taken(lambda: listed(text)), taken(lambda: parse_sandboxes(data))]
    mounts_below(text, ["/run/netns"], ["/a"])
    hierarchies(text)
    without_ours(text)
    command_line({"a": "b"}, text.split("\n"))
    socket_of(text, None)
    return any(rows)


def _objects(data: bytes) -> bool:
    """Documents of programs that run on the node itself: their form is known, their values are not."""
    try:
        document: Any = json.loads(data)
    except (ValueError, RecursionError):
        return False
    netns_of(document)
    socket_of("", document)
    return True


def _etcd(data: bytes) -> bool:
    """What etcd's gateway and other servers say, and what a server that joins asks for."""
    applicant, keys = taken(lambda: read_application(data)), taken(lambda: read_keys(data, where="input"))
    known = applicant is not None or keys is not None
    try:
        document: Any = json.loads(data)
    except (ValueError, RecursionError):
        return known
    members = taken(lambda: read_members(document, where="input"))
    if members is not None and applicant is not None:
        judge(members, applicant)
        membership_of(members, applicant)
    taken(lambda: read_status(document, where="input"))
    taken(lambda: read_bootstrap(document, where="input"))
    taken(lambda: check_shared(_NODE, document, where="input"))
    return members is not None or known


def _database(data: bytes) -> bool:
    fd = os.memfd_create("input")
    try:
        os.write(fd, data)
        database = taken(lambda: Database(fd, Path("input")))
        if database is None:
            return False
        taken(lambda: [pair.key for pair in pairs(database)])
        taken(lambda: member_names(database))
        taken(lambda: make_new(database))
    finally:
        os.close(fd)
    return True


READERS: Final[dict[str, modes.Reader]] = {
    "config": _config,
    "manifest": _manifest,
    "certificate": _certificate,
    "names": _names,
    "words": _words,
    "objects": _objects,
    "etcd": _etcd,
    "database": _database,
}
_CONFIG: Final = b"""\
node-name: n1
node-ip: [192.0.2.11, "2001:db8::11"]
tls-san: api.test,192.0.2.1
cluster-cidr: 10.42.0.0/16
service-cidr: 10.43.0.0/16
cluster-dns: 10.43.0.10
service-node-port-range: 30000-32767
node-label+: [a=b]
node-taint: a=b:NoSchedule
kubelet-arg: ["v=2", "--max-pods+=3"]
disable: [rke2-coredns]
debug: true
control-plane-resource-requests: kube-apiserver-cpu=250m
etcd-image: rancher/etcd:v3
system-default-registry: registry.test
server: https://192.0.2.1:9345
"""
_CHART: Final = b"""\
apiVersion: helm.cattle.io/v1
kind: HelmChart
metadata:
  name: x
  annotations: {rke2.cattle.io/inject-cluster-config: "true"}
spec: {set: {old: 0x1F, other: &a [1e3, ~]}, chartContent: *a}
---
apiVersion: v1
kind: List
items: [{apiVersion: v1, kind: Pod, metadata: {name: y, namespace: z}}]
"""
_ROWS: Final = (
    b"REF TYPE DIGEST SIZE PLATFORMS LABELS\n"
    b"docker.io/a/b:c application/vnd.oci.image.index.v1+json " + _HASH.encode() + b" 1.2 MiB linux/amd64 a=b,c=d\n"
)
_MOUNTS: Final = (
    b"36 35 0:31 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
    b"40 1 0:4 / /run/netns/cni\\0401//deleted rw - nsfs n rw\n"
)
_SANDBOXES: Final = b'{"items":[{"id":"a","metadata":{"uid":"u"},"createdAt":"17","state":"SANDBOX_READY"}]}'


def _pem() -> list[bytes]:
    authority = make_authority(CLIENT_CA, _KEY, now=NOW, serial=bytes(16))
    signer = Signer(chain=(authority,), key=_KEY)
    leaf = make_leaf(server_leaves(_NODE)[0], _KEY.public_key(), signer, now=NOW, serial=bytes(16))
    return [certificate_pem(leaf, authority), key_pem(_KEY)]


TARGET: Final = Target(
    read=modes.by_first_byte(READERS),
    seeds=lambda: modes.seeds(
        READERS,
        {
            "config": [_CONFIG, b"node-name: [a, b]\ntoken: x\ntoken-file: y\nprofile: cis\n"],
            "manifest": [_CHART, b"# nothing\n", b'{"apiVersion":"v1","kind":"Pod","metadata":{"name":"x"}}\n'],
            "certificate": _pem(),
            "names": [
                b"docker.io/rancher/x:v1.2",
                b"a/b@" + _HASH.encode(),
                b"linux/arm64/v8",
                _HASH.encode(),
                b"a.b/c@v1",
            ],
            "words": [
                _ROWS,
                _MOUNTS,
                _SANDBOXES,
                b"*nat\n:KUBE-X - [0:0]\n-A KUBE-X -j RETURN\nCOMMIT\n",
                b"a+=b\na-=c\nd",
            ],
            "etcd": [
                b'{"name":"m2-00000002","peerURL":"https://10.0.0.2:2380"}',
                json.dumps({"members": [row(1, "m1-1", "10.0.0.1"), row(2, "", "10.0.0.2", learner=True)]}).encode(),
                b'{"header":{"member_id":"1"},"leader":"1","raftAppliedIndex":"7","isLearner":true}',
                write_keys([SecretKey(name="k", octets=bytes(32))]),
                json.dumps(cluster_document(_NODE)).encode(),
            ],
            "database": [database({bytes(17): key_value(b"k", b"v")})],
            "objects": [
                b'{"linux":{"namespaces":[{"type":"network","path":"/var/run/netns/x"}]},"address":"unix:///a"}'
            ],
        },
    ),
    least=50,
)
