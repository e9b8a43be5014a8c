"""SECURITY.md names a test for each attack: they exist."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def named() -> list[tuple[str, str]]:
    return re.findall(r"`([a-z0-9/_]+\.py)::(test_\w+)`", (ROOT / "SECURITY.md").read_text())


def test_every_test_that_the_security_page_names_exists() -> None:
    missing = [f"{path}::{name}" for path, name in named() if f"def {name}(" not in (ROOT / "tests" / path).read_text()]
    assert not missing and len(named()) > 30
