"""Values that occur, and those that hardly ever do."""

import ipaddress

from hypothesis import strategies as st

from bundles.digest import Digest
from tests.support.sealed import Content

DIGESTS = st.binary(max_size=4).map(Digest.of)
WORDS = st.text("abz09.-_", min_size=1, max_size=8)
# Names of files: printable, any script, no separators; long ones need PAX records.
NAMES = st.one_of(
    st.sampled_from(["bin", "charts", "a", "b", "é", "日本", "x" * 99, "y" * 120, "with blank", "a.b", "~", "-rf"]),
    st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="/"), min_size=1, max_size=6),
).filter(lambda name: name not in (".", "..") and not name.startswith(".wh."))
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
BODIES = st.one_of(
    st.binary(max_size=50),
    st.sampled_from([b"", b"\x00" * 511, b"x" * 512, b"y" * 513, bytes(range(256)) * 300]),
)
MODES = st.sampled_from([0o644, 0o755, 0o600, 0o444, 0, 0o777])
ADDRESSES = st.ip_addresses(v=4).map(str) | st.ip_addresses(v=6).map(str)
NETWORKS = st.builds(
    lambda address, bits: str(ipaddress.ip_network((address, bits), strict=False)),
    st.ip_addresses(v=4),
    st.integers(8, 28),
)
REPOSITORIES = st.lists(
    st.from_regex(r"[a-z0-9]{1,4}(?:(?:\.|_|__|-)[a-z0-9]{1,3})?", fullmatch=True), min_size=1, max_size=3
)
DOMAINS = st.sampled_from(["", "docker.io/", "index.docker.io/", "quay.io/", "localhost/", "a.b:5000/", "[::1]:5000/"])
TAGS = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,12}", fullmatch=True)


@st.composite
def references(draw: st.DrawFn) -> str:
    """References as people type them."""
    name = draw(DOMAINS) + "/".join(draw(REPOSITORIES))
    suffix = draw(st.sampled_from(["tag", "digest", "both"]))
    name += f":{draw(TAGS)}" if suffix != "digest" else ""
    return name + (f"@{draw(DIGESTS)}" if suffix != "tag" else "")


@st.composite
def trees(draw: st.DrawFn) -> dict[str, Content]:
    """Paths -> what stands there; no path is below a file or link."""
    made: dict[str, Content] = {}
    kinds = st.one_of(st.tuples(BODIES, MODES), PATHS, st.none())
    for path in draw(st.lists(PATHS, max_size=6, unique=True)):
        above = {path.rsplit("/", count)[0] for count in range(1, path.count("/") + 1)}
        if not any(made.get(part) is not None for part in above) and not any(p.startswith(f"{path}/") for p in made):
            made[path] = draw(kinds)
    return made
