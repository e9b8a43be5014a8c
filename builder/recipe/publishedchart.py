"""The keys of charts that somebody publishes, and what they become."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from builder.recipe import words
from builder.recipe.fetched import PublishedChart, last_part
from builder.recipe.kinds import Field, Record, Text
from builder.recipe.urlkind import PLAIN_FIELD, check_url
from bundles.digest import Digest
from bundles.errors import FormatError
from bundles.reference import Reference

Values = Mapping[str, Any]
Problem = Callable[[tuple[str, ...], str, str], None]
KINDS: Final = ("tgz", "repo", "oci")
_NAME: Final = r"[a-z0-9](?:[a-z0-9-]{0,51}[a-z0-9])?"
_VERSION: Final = Text(what="an exact version", pattern=r"v?[0-9][A-Za-z0-9.+-]{0,99}", example="1.45.008")
_URL: Final = Text(what="an https:// URL", pattern=words.URL, example="https://example.org/charts")


_SHA256: Final = Field(kind=words.HEX, doc="What the packaged chart must be, as you know it; the lock records it.")


def records(common: Mapping[str, Field]) -> dict[str, Record]:
    """The records of the three kinds; `common` are the keys of every chart."""
    return {
        "tgz": Record(
            doc="A packaged chart from a URL; its bytes go into the HelmChart manifest as they are.",
            fields={
                "tgz": Field(kind=_URL, doc="The .tgz.", required=True),
                "sha256": _SHA256,
                "plain-http": PLAIN_FIELD,
                **common,
            },
        ),
        "repo": Record(
            doc="A packaged chart from a chart repository, found by its index.yaml when it is locked; the digest that "
            "the index says must be the file's.",
            fields={
                "repo": Field(kind=_URL, doc="The repository: what `index.yaml` is below.", required=True),
                "chart": Field(
                    kind=Text(what="a chart's name", pattern=_NAME, example="rke2-coredns"),
                    default="the key",
                    doc="Its name there.",
                ),
                "version": Field(kind=_VERSION, doc="Its exact version there.", required=True),
                "sha256": _SHA256,
                "plain-http": PLAIN_FIELD,
                **common,
            },
        ),
        "oci": Record(
            doc="A packaged chart from a registry, as `helm push` leaves it there.",
            fields={
                "oci": Field(
                    kind=Text(
                        what="registry/repository:version, or @sha256:...",
                        pattern=r"[A-Za-z0-9._:/@-]+",
                        example="registry.example.org/charts/coredns:1.45.0",
                    ),
                    doc="The registry is always named. In a tag, `_` stands for `+`, as helm writes it.",
                    required=True,
                ),
                "sha256": _SHA256,
                **common,
            },
        ),
    }


def make(name: str, values: Values) -> PublishedChart:
    """One entry of charts.yaml -> the chart."""
    kind = next(kind for kind in KINDS if kind in values)
    place = values[kind]
    return PublishedChart(
        name=name,
        kind=kind,
        place=place.rstrip("/") if kind == "repo" else Reference.parse(place).name if kind == "oci" else place,
        chart=values.get("chart", name) if kind == "repo" else "",
        version=values.get("version", ""),
        sha256=Digest(values["sha256"]) if "sha256" in values else None,
        plain=values.get("plain-http", False),
        bootstrap=values.get("bootstrap", False),
        take_ownership=values.get("take-ownership", False),
        discover=tuple(values.get("discover", ())),
    )


def check(name: str, values: Values, problem: Problem) -> None:
    """Adds what is wrong with a published chart's entry."""
    for kind in ("tgz", "repo"):
        if text := values.get(kind):
            check_url((name, kind), str(text), values, problem)
            if "?" in text and kind == "repo":
                problem((name, kind), "a repository's URL has no query", "leave out what begins with ?")
    if (text := values.get("tgz")) and not last_part(str(text)).endswith((".tgz", ".tar.gz")):
        problem((name, "tgz"), "is no .tgz by its name", "")
    if text := values.get("oci"):
        _check_reference((name, "oci"), str(text), problem)


def _check_reference(path: tuple[str, ...], text: str, problem: Problem) -> None:
    first = text.partition("/")[0]
    if "/" not in text or not ("." in first or ":" in first or first == "localhost"):
        problem(path, "the registry is not named", "write registry.example.org/charts/name:1.2.3")
        return
    try:
        Reference.parse(text)
    except FormatError as exc:
        problem(path, exc.message, f"want {exc.want}")
