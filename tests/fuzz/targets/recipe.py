"""Recipes, locks and Chart.yaml: taken or refused with every problem; a lock is written again as it was."""

from pathlib import Path
from typing import Final

from builder.copyleft.shipped import shipped
from builder.inputs.model import (
    Index,
    Input,
    InputFile,
    Release,
    blob_path,
    go_path,
    info,
    package_path,
    recipe_path,
)
from builder.inputs.text import format_index, parse_index
from builder.lock.text import format_lock, parse_lock
from builder.recipe import yamlnodes
from builder.recipe.base import Base
from builder.recipe.chartfile import parse_chart_file
from builder.recipe.digest import recipe_digest
from builder.recipe.keys import BUNDLE, FILES
from builder.recipe.parse import make_recipe, parse_recipe, read_documents
from builder.sources.gomod import Module
from bundles.digest import Digest
from tests.fuzz import modes
from tests.fuzz.model import Target, taken

_RECIPES: Final = Path(__file__).resolve().parents[3] / "recipes"
_GOOD: Final = {name: (_RECIPES / "hello" / name).read_bytes() for name in FILES}
_BIG: Final = {name: (_RECIPES / "rke2-v1.34" / name).read_bytes() for name in FILES}

_DERIVED: Final = b"sealift: 1\nbase: ../hello\nflavour: modern\n"


def _nodes(data: bytes) -> bool:
    node, problems = yamlnodes.parse_nodes(data, "input")
    for problem in problems:
        str(problem).encode()
    return node is not None and not problems


def _recipe(name: str) -> modes.Reader:
    def read(data: bytes) -> bool:
        found = taken(lambda: parse_recipe(Path("x"), _GOOD | {name: data}))
        if found is not None:
            recipe_digest(found)
        return found is not None

    return read


def _derived(name: str) -> modes.Reader:
    """One file of a recipe that has another for its base."""
    base = Base(text="../hello", folder=Path("hello"), files=_GOOD)

    def read(data: bytes) -> bool:
        documents = read_documents({BUNDLE: _DERIVED, name: data}, base)
        found = taken(lambda: make_recipe(Path("x"), documents))
        if found is not None:
            recipe_digest(found)
        return found is not None

    return read


def _lock(data: bytes) -> bool:
    found = taken(lambda: parse_lock(data))
    if found is not None:
        text = format_lock(found)
        assert parse_lock(text) == found, "the lock reads otherwise when it is written again"
        assert format_lock(parse_lock(text)) == text
    return found is not None


def _inputs(data: bytes) -> bool:
    found = taken(lambda: parse_index(data))
    if found is not None:
        assert parse_index(format_index(found)) == found, "the index reads otherwise when it is written again"
        for path in found.files():
            assert not path.startswith("/") and ".." not in path.split("/"), "an index that leads out"
    return found is not None


def _bill(data: bytes) -> bool:
    found = taken(lambda: shipped(data, "bill"))
    return found is not None and all(each.why for each in found)


READERS: Final[dict[str, modes.Reader]] = {
    "nodes": _nodes,
    "lock": _lock,
    "chart": lambda data: taken(lambda: parse_chart_file(data, "Chart.yaml")) is not None,
    "inputs": _inputs,
    "bill": _bill,
    **{name: _recipe(name) for name in FILES},
    **{f"derived {name}": _derived(name) for name in FILES},
}
_LOCK: Final = (_RECIPES / "hello" / "lock.yaml").read_bytes()
_ODD: Final = [
    b"a: &x [1, *x]\n",
    b"? [a]\n: {b: !!int 1}\n",
    b"%YAML 1.1\n---\na: b\n...\n",
    b"- " * 15 + b"x\n",
    b'"\\x41": |\n  y\n',
]

_BILL: Final = (
    b'{"components":[{"bom-ref":"go:example.test/a@v1.0.0","licenses":[{"expression":"MIT OR (GPL-2.0-only AND X)"}],'
    b'"properties":[{"name":"sealift:go:h1","value":"h1:x"}]},{"bom-ref":"deb:tool=1.0-1"},{"bom-ref":"file:a/b"}],'
    b'"dependencies":[{"ref":"file:a/b","dependsOn":["deb:tool=1.0-1"]}]}'
)


def _inputs_seed() -> bytes:
    """A module with its go.mod, a package, a blob, a release."""
    module, digest = Module(path="example.test/a", version="v1.0.0"), Digest.of(b"")
    h1 = "h1:" + "A" * 43 + "="
    about = Digest.of(told := info(module))
    kept = [
        Input(source=f"go:{module}", h1=h1, files=(
            InputFile(path=go_path(module, "info"), size=len(told), digest=about),
            InputFile(path=go_path(module, "zip"), size=9, digest=digest),
        )),
        Input(source=f"go-mod:{module}", h1=h1, files=(InputFile(path=go_path(module, "mod"), size=9, digest=digest),)),
        Input(source="deb:bookworm/tool=1:2-1", files=(
            InputFile(path=package_path("deb:bookworm/tool=1:2-1", "tool.deb", (digest,)), size=0, digest=digest),
        )),
        Input(source=f"url:https://a.test/x@{digest}", files=(
            InputFile(path=blob_path(digest), size=0, digest=digest),
        )),
    ]  # fmt: skip
    tar = InputFile(path=recipe_path("lab@v1", digest), size=1024, digest=digest)
    inputs = {each.source: each for each in kept}
    release = Release(bundle="lab@v1", lock=digest, recipe=tar, inputs=tuple(sorted(inputs)))
    return format_index(Index(inputs=inputs, releases={digest: release}))


TARGET: Final = Target(
    read=modes.by_first_byte(READERS),
    seeds=lambda: modes.seeds(
        READERS,
        {
            "nodes": [*_GOOD.values(), *_ODD],
            "lock": [_LOCK, (_RECIPES / "rke2-v1.34" / "lock.yaml").read_bytes()[:20_000]],
            "chart": [b'apiVersion: v2\nname: one\nversion: 0.1.0\nappVersion: "1"\n'],
            "inputs": [_inputs_seed()],
            "bill": [_BILL],
            **{name: [_GOOD[name], _BIG[name]] for name in FILES},
            **{f"derived {name}": [_DERIVED if name == BUNDLE else _GOOD[name]] for name in FILES},
        },
    ),
    least=20,
)
