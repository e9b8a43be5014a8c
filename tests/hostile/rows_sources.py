"""Source folders, charts and Go modules."""

import os
from collections.abc import Callable
from pathlib import Path

from bundles.errors import FormatError, SealiftError, UsageError
from tests.hostile import readers_under_attack as read
from tests.hostile.corpus_model import Attack, Place, table
from tests.hostile.making_recipes import Send, laughs, out


def folder_with(make: Callable[[Path], object]) -> Send:
    def send(place: Place) -> None:
        (place.sent / "Chart.yaml").write_text("apiVersion: v2\nname: one\nversion: 0.1.0\n")
        make(place.sent)

    return send


def _deep(root: Path) -> None:
    (root / "/".join("d" * 900)).mkdir(parents=True)


SOURCES = [
    *table(
        "source folders",
        read.source_folder,
        SealiftError,
        {
            "link out": (folder_with(lambda root: (root / "x").symlink_to(out(root))), "a symlink in a source folder"),
            "link to a folder": (
                folder_with(lambda root: (root / "x").symlink_to("/etc")),
                "a symlink in a source folder",
            ),
            "link in circles": (folder_with(lambda root: (root / "x").symlink_to("x")), "a symlink in a source folder"),
            "FIFO": (folder_with(lambda root: os.mkfifo(root / "x")), "a special file in a source folder"),
            "name that is not UTF-8": (
                folder_with(lambda root: Path(os.fsdecode(bytes(root) + b"/\xff")).touch()),
                "not UTF-8",
            ),
            "folders without end": (folder_with(_deep), "nested too deeply"),
        },
    ),
    *table(
        "source folders",
        read.chart_file,
        UsageError,
        {
            "Chart.yaml: aliases": (folder_with(lambda root: (root / "Chart.yaml").write_text(laughs())), "an anchor"),
            "Chart.yaml: name that climbs": (
                folder_with(
                    lambda root: (root / "Chart.yaml").write_text("apiVersion: v2\nname: ../x\nversion: 1.0.0\n")
                ),
                "want the chart's name",
            ),
            "Chart.yaml: version that climbs": (
                folder_with(
                    lambda root: (root / "Chart.yaml").write_text("apiVersion: v2\nname: x\nversion: 1.0.0/../..\n")
                ),
                "want the chart's version",
            ),
            "Chart.yaml: a list": (
                folder_with(lambda root: (root / "Chart.yaml").write_text("- x\n")),
                "want a mapping",
            ),
            "Chart.yaml: nested without end": (
                folder_with(lambda root: (root / "Chart.yaml").write_text("[" * 100_000)),
                "nested deeper",
            ),
        },
    ),
    *table(
        "source folders",
        read.go_module,
        FormatError,
        {
            "Go module: a line end in a name": (
                folder_with(lambda root: (root / "a\nb").touch()),
                "a line end in the name",
            ),
            "Go module: a link": (
                folder_with(lambda root: (root / "x").symlink_to(out(root))),
                "not a regular file in a module",
            ),
            "Go module: a FIFO": (folder_with(lambda root: os.mkfifo(root / "x")), "not a regular file in a module"),
        },
    ),
]
ATTACKS: list[Attack] = SOURCES
