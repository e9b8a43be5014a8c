"""Containerfiles: every image that one names is found and pinned; stages are not images; nothing else is touched."""

import pytest

from builder.engine.containerfile import bases, pinned
from builder.engine.door import Engine
from bundles.digest import Digest
from bundles.errors import FormatError, MissingError, UsageError

DIGESTS = {name: Digest.of(name.encode()) for name in ("alpine:3.20", "r.site:5000/a/b:v1", "golang:1.26")}
TEXT = """\
# a comment: FROM nothing
FROM golang:1.26 AS build
RUN --mount=type=bind,from=alpine:3.20,target=/x \\
    go build   # golang:1.26
from --platform=linux/amd64 r.site:5000/a/b:v1
COPY --from=build /out /
COPY --from=0 /out /two
COPY --from=alpine:3.20 /etc/os-release /
FROM scratch
LABEL base="alpine:3.20"
"""


def test_every_image_that_is_named_is_found_once() -> None:
    assert bases(TEXT, "f") == ("golang:1.26", "alpine:3.20", "r.site:5000/a/b:v1")


def test_names_become_digests_where_they_are_images_and_nowhere_else() -> None:
    made = pinned(TEXT, DIGESTS, "f")
    assert f"FROM docker.io/library/golang@{DIGESTS['golang:1.26']} AS build" in made
    assert f"from=docker.io/library/alpine@{DIGESTS['alpine:3.20']},target" in made
    assert f"from --platform=linux/amd64 r.site:5000/a/b@{DIGESTS['r.site:5000/a/b:v1']}\n" in made
    assert f"COPY --from=docker.io/library/alpine@{DIGESTS['alpine:3.20']} /etc" in made
    assert "--from=build" in made and "--from=0" in made and 'base="alpine:3.20"' in made and "# golang:1.26" in made


def test_a_name_that_begins_as_another_does_is_left_alone() -> None:
    text = "FROM alpine:3.2\nFROM alpine:3.20\n"
    digests = {"alpine:3.2": Digest.of(b"2"), "alpine:3.20": Digest.of(b"20")}
    made = pinned(text, digests, "f").splitlines()
    assert made[0].endswith(str(digests["alpine:3.2"])) and made[1].endswith(str(digests["alpine:3.20"]))


def test_a_problem_names_its_line() -> None:
    with pytest.raises(FormatError) as caught:
        bases("FROM scratch\n\nFROM $BASE\n", "app/Containerfile")
    assert caught.value.where == "app/Containerfile:3"


@pytest.mark.parametrize("char", ["\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\x00", "\u202e"])
def test_a_line_ends_where_every_reader_ends_it(char: str) -> None:
    with pytest.raises(FormatError, match="read differently"):
        bases(f"FROM scratch{char}FROM alpine:3.20\n", "f")


def test_an_engine_that_is_not_there_or_none_is_refused() -> None:
    with pytest.raises(MissingError, match="no container engine"):
        Engine.chosen({"PATH": "/nowhere"})
    with pytest.raises(MissingError, match="no container engine"):
        Engine.chosen({"PATH": "/usr/bin:/bin", "SEALIFT_ENGINE": "no-such-engine --root x"})
    with pytest.raises(UsageError, match="unknown kind"):
        Engine.chosen({"PATH": "/usr/bin:/bin", "SEALIFT_ENGINE": "sh -c x"})
