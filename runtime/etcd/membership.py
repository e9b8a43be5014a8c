"""This server's membership as a file: how etcd was started the first time, for all later starts."""

from typing import Final

import msgspec

from bundles import jsontext
from runtime.configs.etcd import Membership, first_member, member_name
from runtime.entropy import Entropy
from runtime.nodeconf.model import NodeConfig
from runtime.nodefiles import read_file, settle
from runtime.nodepaths import NodePaths

_NAME_OCTETS: Final = 4


class _Document(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    peer_url: str
    cluster: str
    state: str
    token: str = ""
    force: bool = False


def read_membership(paths: NodePaths) -> Membership | None:
    """What was kept, None when nothing was. Raises FormatError for a file that is something else."""
    data = read_file(paths.etcd_membership)
    if data is None:
        return None
    found = jsontext.decode(data, _Document, where=paths.etcd_membership)
    return Membership(
        name=found.name,
        peer_url=found.peer_url,
        cluster=found.cluster,
        state=found.state,
        token=found.token,
        force=found.force,
    )


def write_membership(paths: NodePaths, membership: Membership) -> None:
    """Keeps it; the folder must exist."""
    settle(paths.etcd_membership, encoded_membership(membership))


def encoded_membership(membership: Membership) -> bytes:
    """The file."""
    document = _Document(
        name=membership.name,
        peer_url=membership.peer_url,
        cluster=membership.cluster,
        state=membership.state,
        token=membership.token,
        force=membership.force,
    )
    return jsontext.encode_canonical(document)


def read_member_name(paths: NodePaths) -> str:
    """The name of this member; empty when it has none yet."""
    return (read_file(paths.etcd_name) or b"").decode().strip()


def ensure_member_name(node: NodeConfig, entropy: Entropy) -> str:
    """The name this server has, or will have, in etcd: made once, and anew for a node that is called otherwise before
    it was anybody's.
    """
    if kept := read_member_name(node.paths):
        decided = has_data(node.paths) or node.paths.etcd_membership.exists()
        if decided or kept.rpartition("-")[0] == node.node_name:
            return kept
    name = member_name(node.node_name, entropy.octets(_NAME_OCTETS))
    settle(node.paths.etcd_name, name.encode())
    return name


def has_data(paths: NodePaths) -> bool:
    """Whether etcd has run here: whoever it is in its cluster is decided then."""
    return paths.etcd_log.is_dir()


def known_membership(node: NodeConfig, name: str) -> Membership | None:
    """What is decided before anybody is asked; None for a server that has yet to join."""
    if (kept := read_membership(node.paths)) is not None:
        return kept
    if node.server_url is not None and not has_data(node.paths):
        return None
    return first_member(node, name)
