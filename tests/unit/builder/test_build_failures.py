"""Steps that fail together are all told, with their log and last lines; a failed step can be run by hand."""

import os
import re
from pathlib import Path

import pytest

from builder.build import BuildOptions, build
from builder.errors import StepError
from builder.progress import SilentTalk
from builder.store import Store
from bundles.platform import Platform
from tests.support.recipes import COMPONENTS, IMAGES, tiny_recipe, write_lock


def fail(home: Path, commands: dict[str, str]) -> StepError:
    recipe = tiny_recipe(home / "recipe", lock=False)
    names = list(commands)
    tool = COMPONENTS[COMPONENTS.index("tool:") :]
    text = COMPONENTS.replace(tool, "")
    for name in names:
        text += re.sub(r"run: .*", f"run: ['{commands[name]}']", tool.replace("tool:", f"{name}:", 1))
    (recipe / "components.yaml").write_text(text.replace("output: [tool]", "output: {tool: tool}"))
    placed = "".join(f"    - {name}: /bin/{name}\n" for name in names)
    (recipe / "images.yaml").write_text(IMAGES.replace("    - tool: /bin\n", placed))
    write_lock(recipe)
    with pytest.raises(StepError) as caught:
        build(
            recipe,
            BuildOptions(
                output=home / "out",
                store=Store(home / "store"),
                talk=SilentTalk(),
                host=Platform.parse("linux/amd64"),
                env=os.environ,
            ),
        )
    return caught.value


def test_steps_that_fail_together_are_all_told(tmp_path: Path) -> None:
    meet = "touch ../../{0}; while ! test -e ../../{1}; do sleep 0.05; done; echo last words of {0} >&2; exit 3"
    text = str(fail(tmp_path, {"one": meet.format("one", "two"), "two": meet.format("two", "one")}))
    for name in ("one", "two"):
        assert f"component {name}: sh failed with exit code 3" in text
        assert f"last words of {name}" in text
    logs = re.findall(r"log: (\S+)", text)
    assert len(logs) == 2 and all(Path(log).is_file() for log in logs)


def test_a_failed_step_can_be_run_by_hand_where_it_failed_until_the_next_build(tmp_path: Path) -> None:
    error = fail(tmp_path, {"one": "touch made; exit 3"})
    found = re.search(r"cd (\S+) && ", error.hint)
    assert found and (Path(found[1]) / "made").exists()
