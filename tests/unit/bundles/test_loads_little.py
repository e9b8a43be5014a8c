"""What a command does not need is not loaded: start-up stays short however much the library learns."""

import subprocess
import sys

import pytest

HEAVY = ("cryptography", "rich", "elftools", "yaml", "asyncio")


@pytest.mark.parametrize(
    "module", ["builder.cli", "bundles.inspect", "bundles.verify", "runtime.cli", "runtime.extract"]
)
def test_readers_load_no_library_that_only_other_commands_need(module: str) -> None:
    look = f"import sys, {module}; print(*sorted(set({HEAVY!r}) & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
