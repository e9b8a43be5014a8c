"""Same lock, same bytes: another path, store, worker count, umask, time zone and locale give an identical bundle.

The default bundle, on a machine whose compilers are poisoned: test_poisoned_host.py. All of it twice: `make check-all`.
"""

from pathlib import Path

import pytest

from tests.support.elsewhere import build_elsewhere, contents

pytestmark = pytest.mark.real


def test_hello_is_the_same_from_two_cold_stores_and_the_first_build(hello_bundle: Path, tmp_path: Path) -> None:
    one = build_elsewhere("hello", tmp_path / "1", jobs=1, umask=0o077, zone="Pacific/Kiritimati", locale="tr_TR.UTF-8")
    eight = build_elsewhere("hello", tmp_path / "deep/er/8", jobs=8, umask=0o002, zone="America/St_Johns", locale="C")
    assert contents(one) == contents(eight) == contents(hello_bundle)
