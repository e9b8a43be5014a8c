"""The etcd pod. RKE2 v1.34, pkg/executor/staticpod/staticpod.go (ETCD); its settings are in its configuration file.

Pure.
"""

import json
from typing import Final

from bundles.reference import Reference
from runtime.configs.etcd import Membership
from runtime.nodeconf.model import NodeConfig
from runtime.staticpods.model import HttpProbe, PodSpec, Port
from runtime.staticpods.resources import limits, requests

NAME: Final = "etcd"
_HEALTH: Final = HttpProbe(port=2381, path="/health?serializable=true", scheme="HTTP")
_FILES: Final = (
    "server-client.crt",
    "server-client.key",
    "server-ca.crt",
    "peer-server-client.crt",
    "peer-server-client.key",
    "peer-ca.crt",
)


def etcd_pod(node: NodeConfig, image: Reference, membership: Membership) -> PodSpec:
    """etcd as a member that `membership` describes; the annotation keeps that for the next start."""
    return PodSpec(
        name=NAME,
        image=image,
        arguments=(f"--config-file={node.paths.etcd_config}",),
        requests=requests(node, NAME),
        limits=limits(node, NAME),
        ports=(Port(name="client", number=2379), Port(name="peer", number=2380), Port(name="metrics", number=2381)),
        liveness=_HEALTH,
        startup=_HEALTH,
        folders=(node.paths.etcd,),
        files=tuple(node.paths.tls / "etcd" / name for name in _FILES),
        annotations=(("etcd.k3s.io/initial", json.dumps(membership.options(), separators=(",", ":"))),),
    )
