"""The table of keys as a page for people: docs/recipe.md."""

from builder.recipe import keys
from builder.recipe.kinds import Choice, Flag, Items, ItemsOrTable, Kind, Number, OneOf, Record, Table, Text

_HEAD = """\
# Recipes

<!-- Generated from builder/recipe/keys.py: `make generate` writes this page, a test compares it. -->

A recipe is a folder of data. It says what a site gets, where every file of it comes from, and how the files become
images and charts. `sealift lock` resolves it into `lock.yaml` beside it, `sealift build` builds exactly that.

| file | what it holds |
|---|---|
| [bundle.yaml](#bundleyaml) | what a site gets: name, version, archives, charts |
| [components.yaml](#componentsyaml) | where every binary comes from |
| [images.yaml](#imagesyaml) | files into images |
| [charts.yaml](#chartsyaml) | charts that a server installs; may be left out |

`recipes/hello` is the smallest one, `recipes/rke2-v1.34` a real one. Editors that speak JSON schema complete and check
recipes with `# yaml-language-server: $schema=../schema.json` in the first line (`sealift schema` prints the schema).

## How it is written

YAML, of which only what every reader understands alike is allowed. All problems of a recipe are shown at once, each
with file, line and key.

- One document in UTF-8; no anchors, aliases, tags or merge keys; no key twice; nothing deeper than 16 levels.
- Text that some YAML reader takes for something else stands in quotes: `"1.10"`, `"yes"`, `"0755"`, `"2026-01-31"`.
- Truth values are `true` and `false`; numbers are decimal digits.
- Names of components, images, charts and archives are map keys: lower-case letters, digits, `.`, `_`, `-`.
- Paths are relative to the recipe's folder (or to the source's) and never lead out of it; symlinks are not followed.
- `$version` is the only substitution. In components.yaml it is the component's own version (what stands after `@` or
  `=`, or its `version` key), in `stamp`, `run`, URLs and paths of archives. In images.yaml it is the bundle's
  version, in `name`, `environment` and `labels`.
- Comments, layout and the order of keys do not count: the lock names the digest of what the recipe says.

## A recipe that differs from another in little

`base: ../rke2-v1.34` in bundle.yaml takes over the recipe beside this one. Each of the four files is a mapping; an
entry on top of it that this recipe writes replaces the base's whole one, and nothing deeper is merged. Files that it
has nothing to say in may be missing. Charts, sources and `go/` folders are looked for here first, then in the base's
folder. What the base has and nothing uses any more (a component that no image places, an image of no archive, a chart
that `charts` does not list) is left out. A base has no base itself.

`sealift lock` pins such a recipe in a lock of its own, which stands for itself: what the base's lock pins for the same
source is taken from there, and so is the epoch, so that whatever is alike in both has the same bytes and is built once.
Lock the base first, then what derives from it. `recipes/rke2-v1.34-modern` is one.
"""


def recipe_page() -> str:
    """The whole page, in Markdown."""
    parts = [_HEAD, _section("bundle.yaml", 2, keys.BUNDLE_RECORD)]
    kinds = keys.COMPONENT.kinds
    parts.append(f"## components.yaml\n\nA component's name, then its keys. {keys.COMPONENT.doc}\n")
    parts += [_section(f"`{name}`", 3, record) for name, record in kinds.items()]
    parts += _later(keys.COMPONENT)
    parts.append(f"## images.yaml\n\nAn image's name, then its keys. {keys.IMAGE.doc}\n")
    parts += [_section(f"`{name}`", 3, record) for name, record in keys.IMAGE.kinds.items()]
    parts += _later(keys.IMAGE)
    parts.append(f"## charts.yaml\n\nA chart's name, then its keys. {keys.CHART.doc}\n")
    parts += [_section(f"`{name}`", 3, record) for name, record in keys.CHART.kinds.items()]
    parts += _later(keys.CHART)
    return "\n".join(parts)


def _later(kinds: OneOf) -> list[str]:
    return [f"Kinds of coming versions: {_words(kinds.later)}.\n"] if kinds.later else []


def _section(title: str, level: int, record: Record) -> str:
    lines = [f"{'#' * level} {title}", "", record.doc, "", "| key | takes | default | meaning |", "|---|---|---|---|"]
    for name, field in record.fields.items():
        if not field.later:
            default = "**required**" if field.required else f"`{field.default}`" if field.default else ""
            lines.append(f"| `{name}` | {takes(field.kind)} | {default} | {_cell(field.doc)} |")
    if later := [name for name, field in record.fields.items() if field.later]:
        lines += ["", f"Keys of coming versions: {_words(tuple(later))}."]
    return "\n".join([*lines, ""])


def takes(kind: Kind) -> str:
    """What a kind of value takes, in a few words."""
    match kind:
        case Text():
            return _cell(kind.what) + (f", e.g. `{kind.example}`" if kind.example else "")
        case Flag():
            return "`true` or `false`"
        case Number():
            return f"`{kind.least}`" if kind.least == kind.most else _range(kind)
        case Choice():
            return ", ".join(f"`{word}`" for word in kind.words)
        case Items():
            return f"list: {takes(kind.of)}"
        case Record():
            return "mapping with " + ", ".join(f"`{name}`" for name in kind.fields)
        case Table():
            return f"mapping: {_cell(kind.key.what)} -> {takes(kind.value)}"
        case ItemsOrTable():
            return f"{takes(kind.items)}; or {takes(kind.table)}"
        case _:
            return "any values"


def _range(kind: Number) -> str:
    return f"a whole number from {kind.least}" + (f" to {kind.most}" if kind.most < 10**6 else "")


def _words(words: tuple[str, ...]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
