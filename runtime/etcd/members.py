"""etcd's members as values, and what a server that wants to become one is told. Pure.

k3s pkg/etcd/etcd.go, Join: a name NODE-XXXXXXXX that was given once is never given again, so that whoever comes back
empty is another member.
"""

import urllib.parse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bundles.errors import FormatError
from runtime.configs.etcd import Membership

MAX_MEMBERS: Final = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A member: `id` in decimal digits; `name` is empty until it has started once; a learner does not vote."""

    id: str
    name: str
    peer_urls: tuple[str, ...]
    learner: bool = False

    @property
    def node(self) -> str:
        """The Node it runs on, by its name; empty while it has none."""
        return node_of(self.name)

    @property
    def hosts(self) -> tuple[str, ...]:
        """Its addresses for other members."""
        return tuple(urllib.parse.urlsplit(url).hostname or "" for url in self.peer_urls)


@dataclass(frozen=True, kw_only=True, slots=True)
class Applicant:
    """A server that wants to be a member: the name and URL it will have."""

    name: str
    peer_url: str


@dataclass(frozen=True, slots=True)
class Admit:
    """It is to be added."""


@dataclass(frozen=True, slots=True)
class Known:
    """It is a member already: it asked before, and was interrupted."""


@dataclass(frozen=True, slots=True)
class Later:
    """Not now: `reason`."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refuse:
    """Not until somebody has mended something: `reason`."""

    reason: str


Verdict = Admit | Known | Later | Refuse


def node_of(name: str) -> str:
    """A member's name without its last hyphen and what follows."""
    return name.rpartition("-")[0] or name


def judge(members: Sequence[Member], applicant: Applicant) -> Verdict:
    """What to do with an applicant: its name and its address must be nobody else's, and one learns at a time."""
    host = urllib.parse.urlsplit(applicant.peer_url).hostname
    remove = "remove it first: sealift-node etcd-member remove"
    for member in members:
        if applicant.peer_url in member.peer_urls and member.name in ("", applicant.name):
            return Known()
        if host in member.hosts:
            reason = f"{host} is the address of the member {member.name or member.id}"
            return Refuse(f"{reason}; if that machine's data is lost, {remove} {member.name or member.id}")
        if member.node == node_of(applicant.name):
            reason = f"another server is called {member.node} (member {member.name} at {', '.join(member.hosts)})"
            return Refuse(f"{reason}; set node-name, or {remove} {member.name}")
    for member in members:
        if member.learner:
            return Later(f"{member.name or member.id} is joining etcd at this moment")
    return Admit()


def membership_of(members: Iterable[Member], applicant: Applicant) -> Membership:
    """What an admitted applicant starts etcd with: all members, by names and URLs."""
    pairs = []
    for member in members:
        ours = applicant.peer_url in member.peer_urls
        name = applicant.name if ours else member.name or f"member-{member.id}"
        pairs += [f"{name}={url}" for url in member.peer_urls]
    return Membership(name=applicant.name, peer_url=applicant.peer_url, cluster=",".join(pairs), state="existing")


def is_member(members: Iterable[Member], applicant: Applicant) -> bool:
    """Whether somebody of this name is a member, or nobody has the name yet and the address is this one's."""
    return any(
        member.name == applicant.name or (not member.name and applicant.peer_url in member.peer_urls)
        for member in members
    )


def vanished(members: Iterable[Member], nodes: frozenset[str], seen: frozenset[str]) -> tuple[Member, ...]:
    """Members that were `seen` (identities) beside their Node, which is there no more: somebody deleted it.

    Not by the Node's name: whoever was removed and has joined anew has no Node for a while.
    """
    return tuple(member for member in members if member.id in seen and member.node not in nodes)


def beside_nodes(members: Iterable[Member], nodes: frozenset[str]) -> frozenset[str]:
    """The identities of members whose Node is there."""
    return frozenset(member.id for member in members if member.name and member.node in nodes)


def read_members(document: Any, *, where: object) -> tuple[Member, ...]:
    """`{"members": [...]}` as etcd's gateway and our supervisor say it, by name. Raises FormatError for others."""
    try:
        rows = document["members"]
        if not isinstance(rows, list) or len(rows) > MAX_MEMBERS:
            raise ValueError("not a list of members")
        found = [_member(row) for row in rows]
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise FormatError("not the members of an etcd", where=where, got=repr(document)[:200]) from exc
    return tuple(sorted(found, key=lambda member: (member.name, member.id)))


def _member(row: Any) -> Member:
    urls = row.get("peerURLs", [])
    name = row.get("name", "")
    if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls) or not isinstance(name, str):
        raise ValueError("not a member")
    for url in urls:
        urllib.parse.urlsplit(url)  # ValueError for what is no URL
    return Member(id=str(int(row["ID"])), name=name, peer_urls=tuple(urls), learner=row.get("isLearner") is True)
