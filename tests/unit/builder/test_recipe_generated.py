"""What is generated from the table of keys is committed as it is generated (`make generate`)."""

import json
import re
from pathlib import Path
from typing import Any

from builder.recipe import keys
from builder.recipe.kinds import Kind, OneOf, Record, Table
from builder.recipe.reference import recipe_page
from builder.recipe.schema import recipe_schema, schema_text

ROOT = Path(__file__).resolve().parents[3]


def test_the_committed_schema_is_the_generated_one() -> None:
    assert (ROOT / "recipes/schema.json").read_text() == schema_text()


def test_the_committed_reference_is_the_generated_one() -> None:
    assert (ROOT / "docs/recipe.md").read_text() == recipe_page()


def records(kind: Kind) -> list[Record]:
    match kind:
        case Record():
            return [kind]
        case Table():
            return records(kind.value)
        case OneOf():
            return list(kind.kinds.values())
        case _:
            return []


def test_every_key_is_in_the_reference_and_says_what_it_means() -> None:
    page = recipe_page()
    for kind in keys.FILES.values():
        for record in records(kind):
            for name, field in record.fields.items():
                assert f"`{name}`" in page
                assert field.doc.endswith("."), name
                assert not (field.required and field.default), name


def patterns(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["pattern"]] if isinstance(value.get("pattern"), str) else []
        return own + [text for child in value.values() for text in patterns(child)]
    return [text for child in value for text in patterns(child)] if isinstance(value, list) else []


def test_the_schema_is_plain_json_whose_patterns_are_anchored() -> None:
    schema = json.loads(schema_text())
    assert schema == recipe_schema()
    found = patterns(schema)
    assert len(found) > 20
    for pattern in found:
        assert pattern.startswith("^(?:") and pattern.endswith(")$")
        # JavaScript knows neither (?P<name>) nor \Z: editors would ignore the pattern or fail on it.
        assert not re.search(r"\(\?P|\\Z|\\A", pattern)
        re.compile(pattern)
