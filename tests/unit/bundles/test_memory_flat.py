"""Readers hold pieces, never layers: a bundle of incompressible layers costs no more memory than its pieces."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.bigbundle import big_bundle

SIZE = 240_000_000  # eight layers of 30 MB: two of them in memory would show
BOUND = 110_000_000  # bytes; the promise is 150 MB
# The peak of this very program, whatever it was started from (proc(5), VmHWM).
RUN = """
import sys
from {module} import run
code = run(sys.argv[1:])
print(open("/proc/self/status").read(), file=sys.stderr)
sys.exit(code)
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return big_bundle(tmp_path_factory.mktemp("big"), SIZE)


def peak(module: str, *arguments: str | Path) -> int:
    command = [sys.executable, "-c", RUN.format(module=module), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = re.search(r"VmHWM:\s*(\d+) kB", done.stderr)
    assert found
    return int(found[1]) * 1024


def test_verify_stage_and_extract_stay_below_a_fixed_amount_of_memory(bundle: Path, tmp_path: Path) -> None:
    data = tmp_path / "node"
    assert peak("builder.cli", "verify", bundle, "--insecure-no-signature") < BOUND
    assert peak("runtime.cli", "stage", bundle, "--insecure-no-signature", "--data-dir", data) < BOUND
    assert peak("runtime.cli", "extract", "--data-dir", data) < BOUND
