"""`choices` of bundle.yaml: what a node's configuration may choose, and what only that choice needs."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from builder.recipe.document import near
from builder.recipe.kinds import Field, Items, Record, Table, Text
from builder.recipe.offers import RecipeChoice
from bundles.choices import CNI, INGRESS, NAMES, NONE

KEY: Final = "choices"
_NAME: Final = Text(what="a name (lower-case letters, digits, . _ -)", pattern=r"[a-z0-9](?:[a-z0-9._-]{0,62})")
_PARTS: Final = Record(
    doc="What a choice needs, and no other one.",
    fields={
        "archives": Field(kind=Items(of=_NAME, least=1), doc="Its archives.", required=True),
        "charts": Field(kind=Items(of=_NAME, least=1), doc="Its charts.", required=True),
    },
)
FIELD: Final = Field(
    kind=Record(
        doc="Choices of a node, by RKE2's settings.",
        fields={
            CNI: Field(
                kind=Table(key=_NAME, value=_PARTS, least=1),
                doc=f"Pod networks: {', '.join(NAMES[CNI])}; the first one is the default.",
            ),
            INGRESS: Field(
                kind=Table(key=_NAME, value=_PARTS, least=1),
                doc=f"Who serves Ingresses: {', '.join(NAMES[INGRESS])}; the first one is the default.",
            ),
        },
    ),
    doc="What a node may choose with RKE2's settings `cni` and `ingress-controller` (and `none`), and the archives and "
    "charts that only that choice needs.",
)
Problem = Callable[[tuple[str, ...], str, str], None]


def make_choices(bundle: Mapping[str, Any]) -> tuple[RecipeChoice, ...]:
    """bundle.yaml's values -> the choices, in its order."""
    return tuple(
        RecipeChoice(key=key, name=name, archives=tuple(parts["archives"]), charts=tuple(parts["charts"]))
        for key, table in bundle.get(KEY, {}).items()
        for name, parts in table.items()
    )


def check(top: Mapping[str, Any], runtime_archives: list[str], charts: list[str], problem: Problem) -> None:
    """Adds what is wrong with the choices of a bundle.yaml, whose values may be half wrong."""
    archives = list(top.get("archives") or {})
    for key, name, parts in _entries(top):
        if name == NONE or name not in NAMES.get(key, ()):
            problem((KEY, key, name), f"RKE2 knows no {key}: {name}", near(name, NAMES.get(key, ())))
        for kind, known in (("archives", archives), ("charts", [chart for chart in charts if chart])):
            for number, part in enumerate(parts.get(kind) or ()):
                path = (KEY, key, name, kind, str(number))
                if part and part not in known:
                    problem(path, f"the bundle has no {kind.removesuffix('s')} {part}", near(part, known))
                elif part in runtime_archives and kind == "archives":
                    problem(path, "every node needs the runtime image", "leave it out")


def _entries(top: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for key, table in (top.get(KEY) or {}).items():
        for name, parts in (table or {}).items():
            yield key, name, parts or {}
