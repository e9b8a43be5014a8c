"""containerd's hosts.toml for the registries of registries.yaml, as RKE2 generates them. Pure.

k3s pkg/agent/containerd/config.go; containerd docs/hosts.md. What differs: `rewrite` is a word of k3s's own containerd.
Of containerd as it is published, which knows none, a rewrite that only puts a prefix before names is asked for by
`override_path`; other rewrites stand there as k3s writes them, and a warning says who reads them.
"""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from bundles.reference import DEFAULT_DOMAIN
from bundles.registry.mirrors import ANY
from bundles.registry.place import HUB, ROOT, is_loopback
from bundles.registry.registriesyaml import MirrorEntry, Registries, Rewrite
from bundles.registry.wire import HostTls
from runtime.configs.toml import Table, table, value

HEADER: Final = "# Written by sealift-node at every start.\n"
DEFAULT: Final = "_default"  # containerd's folder for registries without their own
_ALL: Final = re.compile(r"\^?\(\.[*+]\)\$?")
_PREFIX: Final = re.compile(r"([a-z0-9][a-z0-9._/-]*)/\$(?:1|\{1\})")
_PULL: Final = ["pull", "resolve"]
_PUSH: Final = ["pull", "resolve", "push"]


def hosts_files(registries: Registries, *, default_endpoints: bool) -> dict[str, str]:
    """Folder below certs.d -> its hosts.toml, for registries of which more is said than containerd knows anyhow.

    `default_endpoints` False: a registry with mirrors is never asked itself.
    """
    files = {}
    for registry in sorted({*registries.mirrors, *registries.configs}):
        entry = registries.mirrors.get(registry, MirrorEntry())
        tls = registries.entry(registry).tls
        if entry.endpoints or tls != HostTls():
            folder = DEFAULT if registry == ANY else registry
            files[folder] = _hosts_toml(registry, entry, registries, own=default_endpoints)
    return files


def credentials(registries: Registries) -> dict[str, Table]:
    """What containerd's own configuration says of each host."""
    found: dict[str, Table] = {}
    for host, entry in sorted(registries.configs.items()):
        if (keys := entry.credentials) is not None:
            words = {"username": keys.user, "password": keys.password, "identitytoken": keys.identity}
            found[host] = {key: word for key, word in words.items() if word}
    return found


def warnings_of(registries: Registries) -> list[str]:
    """What the published containerd will not do, and whom nobody checks."""
    told = "containerd as it is published cannot rewrite names so; only PREFIX/$1 for ^(.*)$ works everywhere"
    unchecked = [
        f"registries.yaml: configs: {host}: anybody can be this registry: its certificate is not checked"
        for host, entry in sorted(registries.configs.items())
        if not entry.tls.verify
    ]
    return unchecked + [
        f"registries.yaml: mirrors: {registry}: rewrite {rewrite.pattern!a}: {told}"
        for registry, entry in sorted(registries.mirrors.items())
        for rewrite in entry.rewrites
        if _prefix(entry.rewrites) is None
    ]


def _hosts_toml(registry: str, entry: MirrorEntry, registries: Registries, *, own: bool) -> str:
    """Mirrors in their order, the registry itself last. Without that, the last mirror stands where it would."""
    mirrors = list(entry.endpoints)
    server, head = _default_url(registry, registries), registries.entry(registry).tls
    rest: Table = {}
    if mirrors and _same(mirrors[-1], server):
        mirrors.pop()
    elif mirrors and not own:
        last = mirrors[-1] if _prefix(entry.rewrites) is None else mirrors.pop()
        rest, head = _endpoint_keys(last, entry.rewrites), registries.entry(_host_of(last)).tls
        server = _url(last, entry.rewrites)
    start: Table = {**({"server": server} if server else {}), "capabilities": _PUSH if own else _PULL, **rest}
    text = HEADER + table("", {**start, **_tls(head)})
    for endpoint in mirrors:
        name = f"host.{value(_url(endpoint, entry.rewrites))}"
        tls = _tls(registries.entry(_host_of(endpoint)).tls)
        text += "\n" + table(name, {"capabilities": _PULL, **_endpoint_keys(endpoint, entry.rewrites), **tls})
        if entry.rewrites and _prefix(entry.rewrites) is None:
            text += table(f"{name}.rewrite", {rule.pattern: rule.replacement for rule in entry.rewrites})
    return text


def _default_url(registry: str, registries: Registries) -> str:
    """Where containerd asks by itself; k3s writes it down, so that TLS settings can stand beside it."""
    if registry == ANY:
        return ""
    host = HUB if registry == DEFAULT_DOMAIN else registry
    plain = (
        registry not in registries.secure()
        and is_loopback(registry)
        and urlsplit(f"//{registry}").port not in (None, 443)
    )
    return f"{'http' if plain else 'https'}://{host}{ROOT}"


def _url(endpoint: str, rewrites: tuple[Rewrite, ...]) -> str:
    path = urlsplit(endpoint).path
    prefix = _prefix(rewrites)
    return (endpoint if path else endpoint + ROOT) + (f"/{prefix}" if prefix else "")


def _endpoint_keys(endpoint: str, rewrites: tuple[Rewrite, ...]) -> Table:
    """An API that is not at /v2 is used as it is written (k3s normalizeEndpointAddress)."""
    own = urlsplit(endpoint).path not in ("", ROOT)
    return {"override_path": True} if own or _prefix(rewrites) else {}


def _prefix(rewrites: tuple[Rewrite, ...]) -> str | None:
    """What is put before every name, "" for no rewrite at all; None for rewrites that are anything else."""
    if not rewrites:
        return ""
    found = _PREFIX.fullmatch(rewrites[0].replacement)
    return found[1] if found and len(rewrites) == 1 and _ALL.fullmatch(rewrites[0].pattern) else None


def _tls(tls: HostTls) -> Table:
    found: dict[str, bool | list[str] | list[list[str]]] = {}
    if tls.ca_file is not None:
        found["ca"] = [str(tls.ca_file)]
    if tls.cert_file is not None:
        found["client"] = [[str(tls.cert_file), str(tls.key_file)]]
    return {**found, **({} if tls.verify else {"skip_verify": True})}


def _same(endpoint: str, default: str) -> bool:
    return bool(default) and (endpoint if urlsplit(endpoint).path else endpoint + ROOT) == default


def _host_of(endpoint: str) -> str:
    return urlsplit(endpoint).netloc


def stale(folders: Mapping[str, str | None], wanted: Mapping[str, str]) -> list[str]:
    """Folders (name -> what its hosts.toml holds, None for no such file) that an earlier start wrote: to be removed."""
    return [name for name, text in folders.items() if name not in wanted and (text or "").startswith(HEADER)]
