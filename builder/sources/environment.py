"""What package clients may see of our own environment: how to reach the network, who we are there, nothing else.

Which registries are asked is the client's own configuration; Sealift names none.
"""

from collections.abc import Mapping
from typing import Final

# Programs, home (netrc, the client's own settings), proxies, trusted certificates, and Go's addresses of modules.
_PASSED: Final = (
    "PATH", "HOME", "XDG_CONFIG_HOME", "TMPDIR", "USER", "LOGNAME",
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "NETRC", "SSH_AUTH_SOCK", "APT_CONFIG",
    "GOENV", "GOPROXY", "GOSUMDB", "GONOSUMDB", "GONOPROXY", "GOPRIVATE", "GOINSECURE", "GOVCS", "GOAUTH",
)  # fmt: skip


def client_environment(host: Mapping[str, str], more: Mapping[str, str]) -> dict[str, str]:
    """The part of `host` (our environment) that clients get, and `more` over it; messages are in English."""
    passed = {name: host[name] for name in _PASSED if name in host}
    return {**passed, "LC_ALL": "C", **more}
