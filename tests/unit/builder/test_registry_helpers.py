"""Credential helpers are run through the builder's process door, and what they print is shown to nobody."""

import os
import stat
from pathlib import Path

import pytest

from builder.reach import Reach
from builder.registry import ask_helper
from bundles.errors import MissingError, SealiftError, UsageError


def helper(folder: Path, script: str) -> dict[str, str]:
    path = folder / "docker-credential-test"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


def test_a_helper_gets_the_registry_on_its_input(tmp_path: Path) -> None:
    env = helper(tmp_path, """read host; printf '{"ServerURL":"%s","Username":"u","Secret":"s"}' "$host$1" """)
    assert ask_helper("test", "a.io", env) == b'{"ServerURL":"a.ioget","Username":"u","Secret":"s"}'


def test_a_helper_that_knows_nothing_is_no_error_and_one_that_fails_is(tmp_path: Path) -> None:
    env = helper(tmp_path, "echo 'credentials not found in native keychain'; exit 1")
    assert ask_helper("test", "a.io", env) is None
    env = helper(tmp_path, "echo s3cret; echo s3cret >&2; exit 3")
    with pytest.raises(SealiftError) as caught:
        ask_helper("test", "a.io", env)
    assert "docker-credential-test for a.io" in str(caught.value) and "s3cret" not in str(caught.value)
    with pytest.raises(MissingError, match="docker-credential-none"):
        ask_helper("none", "a.io", env)


def test_a_helper_that_is_killed_shows_nothing_either(tmp_path: Path) -> None:
    env = helper(tmp_path, "echo s3cret >&2; kill -9 $$")
    with pytest.raises(SealiftError) as caught:
        ask_helper("test", "a.io", env)
    assert "s3cret" not in str(caught.value)


def test_wrong_options_are_told_before_anything_is_asked() -> None:
    for wrong in ({"mirrors": ("x",)}, {"limit_rate": "fast"}):
        with pytest.raises(UsageError):
            Reach(**wrong)
