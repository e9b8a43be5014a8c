"""Image references, and the two names one reference has.

`rancher/x:t`, `docker.io/rancher/x:t` and `index.docker.io/rancher/x:t` are the same image. containerd calls it
`docker.io/rancher/x:t` (`name`), RKE2's own marker file and pod specs `index.docker.io/rancher/x:t` (`index_name`).
The original spelling is kept, because RKE2 hashes exactly that (see `datakey`).
Grammar: distribution's reference specification, without the deprecated 64-hex-identifier form.
"""

import re
from dataclasses import dataclass

from bundles.digest import Digest
from bundles.errors import FormatError

_DOMAIN = re.compile(
    r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*"
    r"|\[[a-fA-F0-9:]+\])(?::[0-9]{1,5})?"
)
_COMPONENT = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_MAX_NAME = 255
_MAX_TEXT = 1024  # characters: the longest name, tag and digest, and room for what is wrong with them
DEFAULT_DOMAIN = "docker.io"


@dataclass(frozen=True, kw_only=True, slots=True)
class Reference:
    """A parsed reference: `domain` and `repository` are normalised, at least one of `tag` and `digest` is set."""

    original: str
    domain: str
    repository: str
    tag: str | None = None
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> "Reference":
        """Text -> Reference; raises FormatError that shows the text. `latest` is never implied."""
        if len(text) > _MAX_TEXT:
            raise FormatError("not an image reference: name too long", got=ascii(text[:80]), want=f"<= {_MAX_TEXT}")
        rest, _, digest_text = text.partition("@")
        digest = Digest.parse(digest_text) if "@" in text else None
        head, slash, tail = rest.rpartition("/")
        last, colon, tag = tail.partition(":")
        path = head + slash + last
        domain, repository = _split_domain(path)
        wrong = (
            (colon and not _TAG.fullmatch(tag), "malformed tag"),
            (not colon and digest is None, "no tag and no digest"),
            (not _DOMAIN.fullmatch(domain), "malformed domain"),
            (not all(_COMPONENT.fullmatch(part) for part in repository.split("/")), "malformed repository"),
            (len(domain) + len(repository) + 1 > _MAX_NAME, "name too long"),
        )
        for is_wrong, why in wrong:
            if is_wrong:
                raise FormatError(f"not an image reference: {why}", got=ascii(text[:300]), want="[domain/]path:tag")
        return cls(original=text, domain=domain, repository=repository, tag=tag or None, digest=digest)

    @property
    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    @property
    def name(self) -> str:
        """The name containerd, docker and kubelet agree on: always with the domain, `docker.io` by default."""
        return f"{self.domain}/{self.repository}{self._suffix}"

    @property
    def index_name(self) -> str:
        """The name RKE2 writes into `.extracted` and pod specs: docker.io is spelled index.docker.io."""
        domain = "index.docker.io" if self.domain == DEFAULT_DOMAIN else self.domain
        return f"{domain}/{self.repository}{self._suffix}"

    @property
    def familiar(self) -> str:
        """The short form RKE2 bakes in: without docker.io, unless the rest alone would name another registry."""
        short = _split_domain(self.repository) == (self.domain, self.repository)
        prefix = "" if short else f"{self.domain}/"
        return f"{prefix}{self.repository}{self._suffix}"

    def __str__(self) -> str:
        """The normalised name."""
        return self.name


def _split_domain(path: str) -> tuple[str, str]:
    """Domain and repository as docker's normalisation does it (`library/` for bare official names)."""
    first, slash, rest = path.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost" or first.startswith("[")):
        domain, repository = first, rest
    else:
        domain, repository = DEFAULT_DOMAIN, path
    if domain == "index.docker.io":
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in repository:
        repository = f"library/{repository}"
    return domain, repository
