"""The secrets that machines join with, as files: RKE2's names below DATA/server, made once and kept.

k3s pkg/server/server.go (token files) and pkg/daemons/control/deps (server/cred/passwd).
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bundles.errors import FormatError, MissingError, UsageError
from bundles.files import atomic_symlink, os_errors
from runtime.entropy import Entropy
from runtime.nodeconf.model import NodeConfig, Token
from runtime.nodefiles import SECRET_FILE, read_file, settle
from runtime.supervisor import hashes, token
from runtime.supervisor.callers import AGENT, SERVER, Secrets
from runtime.supervisor.token import AGENT_USER, SERVER_USER, JoinToken

_OCTETS: Final = 16  # of a secret; 128 bits cannot be guessed over a network
_ROTATED: Final = "rotated-tokens"  # hashes, the latest last
_REMEMBERED: Final = 4


def configured(given: Token | None, *, default_user: str) -> JoinToken | None:
    """The configuration's token, from its text or its file; None when there is none.

    Raises FormatError for what is no token, MissingError for a file that is not there.
    """
    if given is None:
        return None
    if given.text is not None:
        return token.parse(given.text, default_user=default_user)
    assert given.file is not None
    data = read_file(given.file)
    if data is None:
        raise MissingError("the token's file is not there", where=given.file)
    return token.parse(_decoded(data, given.file), default_user=default_user, where=given.file)


def ensure_tokens(
    node: NodeConfig, *, authority: bytes, entropy: Entropy, say: Callable[[str], None] = lambda line: None
) -> Secrets:
    """server/token, node-token, agent-token and cred/passwd of a server; returns the secrets.

    `authority` is server-ca.crt, whose hash tokens pin. A configured token that is not the cluster's is refused: the
    machines that joined know the old one. Raises UsageError for that. One that was the cluster's until it was rotated
    is told, and does not keep a server from starting.
    """
    paths = node.paths
    server = _kept(node, configured(node.token, default_user=SERVER_USER), say)
    secret = server or fresh_secret(entropy)
    pinned = token.authority_hash(authority)
    text = JoinToken(authority=pinned, user=SERVER_USER, secret=secret).text
    settle(paths.server_token, f"{text}\n".encode(), SECRET_FILE)
    _link(paths.node_token, paths.server_token.name)
    given = configured(node.agent_token, default_user=AGENT_USER)
    kept = None if given or paths.agent_token.is_symlink() else read_file(paths.agent_token)
    agent = given.secret if given else secret
    if kept is not None:  # of the cluster that this server joined, or of an earlier configuration: agents know it
        agent = _secret(paths.agent_token)
    if given:
        own = JoinToken(authority=pinned, user=AGENT_USER, secret=agent).text
        if paths.agent_token.is_symlink():
            with os_errors(paths.agent_token):
                paths.agent_token.unlink()
        settle(paths.agent_token, f"{own}\n".encode(), SECRET_FILE)
    elif kept is None:
        _link(paths.agent_token, paths.server_token.name)
    settle(paths.cred / "passwd", passwd(secret, agent), SECRET_FILE)
    return Secrets(server=secret, agent=agent)


def change_server_secret(node: NodeConfig, secret: str, *, authority: bytes, entropy: Entropy) -> bool:
    """Another secret for servers, and for agents where they had the same; False when it was that already.

    The old one is remembered by its hash, so that a start with the old configuration can say what has happened.
    """
    before = read_secrets(node)
    if before.server == secret:
        return False
    rotated = node.paths.cred / _ROTATED
    old = hashes.make(before.server, entropy.octets(hashes.SALT_OCTETS))
    lines = [*(read_file(rotated) or b"").decode().splitlines(), old][-_REMEMBERED:]
    settle(rotated, "".join(f"{line}\n" for line in lines).encode(), SECRET_FILE)
    text = JoinToken(authority=token.authority_hash(authority), user=SERVER_USER, secret=secret).text
    settle(node.paths.server_token, f"{text}\n".encode(), SECRET_FILE)
    settle(node.paths.cred / "passwd", passwd(secret, read_secrets(node).agent), SECRET_FILE)
    return True


def read_secrets(node: NodeConfig) -> Secrets:
    """The secrets in force, from the files: whoever changes them need not restart the daemon."""
    server, agent = (_secret(path) for path in (node.paths.server_token, node.paths.agent_token))
    return Secrets(server=server, agent=agent)


def fresh_secret(entropy: Entropy) -> str:
    """A secret that nobody guesses."""
    return entropy.octets(_OCTETS).hex()


def ensure_node_password(path: Path, entropy: Entropy) -> str:
    """The password that proves this machine to be the node of its name; made once, 0600."""
    found = read_file(path)
    if found and (text := _decoded(found, path).strip()):
        return text
    made = fresh_secret(entropy)
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    settle(path, f"{made}\n".encode(), SECRET_FILE)
    return made


def _kept(node: NodeConfig, given: JoinToken | None, say: Callable[[str], None]) -> str | None:
    path = node.paths.server_token
    found = read_file(path)
    if given is not None and not given.user:
        raise UsageError("a bootstrap token is no token of a cluster", hint="those are for agents, and end")
    if found is None:
        return given.secret if given else None
    kept = token.parse(_decoded(found, path), default_user=SERVER_USER, where=path).secret
    if given is not None and given.secret != kept:
        if not _was_rotated(node, given.secret):
            hint = "take token out of the configuration, or change the token of the cluster first: token rotate"
            raise UsageError("token is not the cluster's", where=path, hint=hint)
        say("warning: the cluster's token was rotated: put the new one, or none, into the configuration")
    return kept


def _was_rotated(node: NodeConfig, secret: str) -> bool:
    lines = (read_file(node.paths.cred / _ROTATED) or b"").decode().splitlines()
    return any(hashes.matches(line, secret) for line in lines)


def _secret(path: Path) -> str:
    data = read_file(path)
    if data is None:
        raise MissingError("no token", where=path)
    return token.parse(_decoded(data, path), default_user=SERVER_USER, where=path).secret


def _decoded(data: bytes, where: Path) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        raise FormatError("not a token", where=where) from exc


def _link(link: Path, name: str) -> None:
    with os_errors(link):
        if link.is_symlink() and os.readlink(link) == name:
            return
    atomic_symlink(link, name)


def passwd(server: str, agent: str) -> bytes:
    """server/cred/passwd (k3s pkg/passwd): password, name, uid, groups."""
    rows = ((agent, AGENT_USER, AGENT_USER, AGENT), (server, SERVER_USER, SERVER_USER, SERVER))
    return "".join(",".join(row) + "\n" for row in rows).encode()
