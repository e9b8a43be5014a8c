"""registries.yaml of RKE2 and k3s, read once, with everything that is wrong at once. Pure: the YAML is parsed already.

Their documentation, "Private Registry Configuration"; rancher/wharfie pkg/registries. What that takes silently and
cannot work (an unknown key, half a client certificate, a password without a user) is an error here.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from bundles.errors import FormatError, Problem, ProblemsError, SealiftError
from bundles.registry import url as urls
from bundles.registry.credentials import Credentials, basic_pair
from bundles.registry.mirrors import ANY
from bundles.registry.place import is_loopback
from bundles.registry.registriesyaml import HostEntry, MirrorEntry, Registries, Rewrite
from bundles.registry.wire import HostTls

_TRUE: Final = ("true", "yes", "on", "y")
_FALSE: Final = ("false", "no", "off", "n", "")
_NULLS: Final = (None, "", "~", "null")  # scalars may come as text
_HOST: Final = re.compile(r"[A-Za-z0-9._-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")


def read_registries(document: Any, *, where: object) -> Registries:
    """The parsed YAML (scalars as text or as YAML has them) -> Registries; ProblemsError with all that is wrong.

    No problem shows a password.
    """
    reader = _Reader(str(where))
    plain = reader.table(document, "", ("mirrors", "configs"))
    listed, hosts = (reader.table(plain.get(name), name) for name in ("mirrors", "configs"))
    mirrors = {str(key): reader.mirror(key, entry) for key, entry in listed.items()}
    configs = {str(key): reader.host(key, entry) for key, entry in hosts.items()}
    if reader.problems:
        raise ProblemsError(where, reader.problems)
    return Registries(mirrors=mirrors, configs=configs)


class _Reader:
    """Takes the document apart; what cannot be becomes a problem and gives the default."""

    def __init__(self, where: str) -> None:
        self._where = where
        self.problems: list[Problem] = []

    def problem(self, place: str, message: str, hint: str = "") -> None:
        self.problems.append(Problem(where=f"{self._where}: {place}", message=message, hint=hint))

    def table(self, value: Any, place: str, known: Iterable[str] = ()) -> dict[Any, Any]:
        if value in _NULLS:
            return {}
        if not isinstance(value, dict):
            self.problem(place or "the document", "want an object")
            return {}
        for key in [key for key in value if known and key not in known]:
            self.problem(f"{place}: {key}" if place else str(key), "unknown key", f"known: {', '.join(known)}")
        return value

    def mirror(self, registry: Any, value: Any) -> MirrorEntry:
        place = f"mirrors: {registry}"
        self._check_host(registry, place)
        entry = self.table(value, place, ("endpoint", "endpoints", "rewrite", "rewrites"))
        listed = entry.get("endpoint") or entry.get("endpoints") or []
        if not isinstance(listed, list):
            self.problem(place, "endpoint: want a list")
            listed = []
        endpoints = [found for text in listed if (found := self._endpoint(text, place))]
        rules = self.table(entry.get("rewrite") or entry.get("rewrites"), f"{place}: rewrite")
        rewrites = [Rewrite(pattern=str(key), replacement=str(rule)) for key, rule in rules.items()]
        for rewrite in rewrites:
            try:
                rewrite.compiled()
            except re.error as exc:
                self.problem(place, f"rewrite: not a pattern: {exc}")
        return MirrorEntry(endpoints=tuple(dict.fromkeys(endpoints)), rewrites=tuple(rewrites))

    def host(self, host: Any, value: Any) -> HostEntry:
        place = f"configs: {host}"
        self._check_host(host, place)
        entry = self.table(value, place, ("auth", "tls"))
        credentials = self._credentials(entry.get("auth"), f"{place}: auth")
        if host == ANY and credentials is not None:
            self.problem(place, "credentials for any host that is asked", "name the host they are for")
        return HostEntry(credentials=credentials, tls=self._tls(entry.get("tls"), f"{place}: tls"))

    def _check_host(self, host: Any, place: str) -> None:
        if not isinstance(host, str) or (host != ANY and not _HOST.fullmatch(host)):
            self.problem(place, "not a registry's name", "HOST[:PORT], without a scheme or a path")

    def _endpoint(self, text: Any, place: str) -> str:
        """As k3s completes it: plain http only for this machine itself on a port of its own."""
        try:
            if not isinstance(text, str):
                raise FormatError("want a URL")
            local = is_loopback(text.partition("/")[0]) and ":" in text and not text.partition("/")[0].endswith(":443")
            url = text if "://" in text else f"{'http' if local else 'https'}://{text}"
            urls.origin(url)
            parts = urlsplit(url)
            if parts.query or parts.fragment:
                raise FormatError("want a URL without ? and #")
        except SealiftError as exc:
            self.problem(place, f"not an endpoint: {exc.message}")
            return ""
        return url.rstrip("/")

    def _texts(self, value: Any, place: str, known: tuple[str, ...]) -> dict[str, str]:
        table = self.table(value, place, known)
        for name in [name for name in known if not isinstance(table.get(name) or "", str | bool)]:
            self.problem(f"{place}: {name}", "want text")
        return {
            name: found if isinstance(found := table.get(name) or "", str) else str(found).lower() for name in known
        }

    def _credentials(self, value: Any, place: str) -> Credentials | None:
        texts = self._texts(value, place, ("username", "password", "auth", "identity_token"))
        user, password = texts["username"], texts["password"]
        if texts["auth"]:
            pair = basic_pair(texts["auth"])
            if pair is None:
                self.problem(place, "`auth` is not base64 of USER:PASSWORD")
            else:
                user, password = pair
        if texts["identity_token"]:
            return Credentials(user=user, identity=texts["identity_token"])
        if password and not user:
            self.problem(place, "a password without a username")
        return Credentials(user=user, password=password) if user else None

    def _tls(self, value: Any, place: str) -> HostTls:
        texts = self._texts(value, place, ("ca_file", "cert_file", "key_file", "insecure_skip_verify"))
        paths: dict[str, Path | None] = {}
        for name in ("ca_file", "cert_file", "key_file"):
            if texts[name] and not texts[name].startswith("/"):
                self.problem(f"{place}: {name}", "want an absolute path")
            paths[name] = Path(texts[name]) if texts[name] else None
        if (paths["cert_file"] is None) != (paths["key_file"] is None):
            self.problem(place, "cert_file and key_file belong together")
        said = texts["insecure_skip_verify"].lower()
        if said not in (*_TRUE, *_FALSE):
            self.problem(f"{place}: insecure_skip_verify", "want true or false")
        return HostTls(**paths, verify=said not in _TRUE)
