"""Which proxy a URL goes through, by the variables everybody uses, read as Go's programs read them. Pure."""

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from bundles.registry.place import is_loopback


def proxy_for(url: str, env: Mapping[str, str]) -> str | None:
    """The proxy's URL for `url`, None for none: HTTPS_PROXY, HTTP_PROXY, NO_PROXY, in either case; never loopback."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    proxy = _value(env, f"{parts.scheme}_proxy")
    if not proxy or is_loopback(host) or _excluded(host, port, _value(env, "no_proxy")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _value(env: Mapping[str, str], name: str) -> str:
    # A web server's HTTP_PROXY would be a request header of a stranger (httpoxy); we are none, but Go looks as well.
    upper = "" if name == "http_proxy" and env.get("REQUEST_METHOD") else env.get(name.upper(), "")
    return upper or env.get(name, "")


def _excluded(host: str, port: int, rules: str) -> bool:
    return any(_matches(host, port, rule) for word in rules.split(",") if (rule := word.strip().lower()))


def _matches(host: str, port: int, rule: str) -> bool:
    if rule == "*":
        return True
    name, colon, wanted = rule.rpartition(":")
    if colon and wanted.isdigit() and (name.count(":") == 0 or name.endswith("]")):
        if int(wanted) != port:
            return False
        rule = name
    try:
        address = ipaddress.ip_address(host)
        return address in ipaddress.ip_network(rule.strip("[]"), strict=False)
    except ValueError:
        pass
    if rule.startswith("*."):
        rule = rule[1:]
    return host.endswith(rule) if rule.startswith(".") else host == rule or host.endswith(f".{rule}")
