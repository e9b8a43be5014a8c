"""Locks: other bytes, other places, nothing pinned."""

import os

from bundles.errors import UsageError
from tests.hostile import readers_under_attack as read
from tests.hostile.corpus_model import Attack, Place, table
from tests.hostile.making_recipes import lock, recipe, replaced
from tests.support.recipes import tiny_recipe


def _other_bytes(place: Place) -> None:
    tiny_recipe(place.sent)
    (place.sent / "notes.txt").write_text("other\n")


def _without_digest(place: Place) -> None:
    tiny_recipe(place.sent)
    path = place.sent / "lock.yaml"
    lines = path.read_text().splitlines(keepends=True)
    at = next(number for number, line in enumerate(lines) if "file:notes.txt" in line)
    del lines[at + 1]
    path.write_text("".join(lines))


def _shuffled(place: Place) -> None:
    tiny_recipe(place.sent)
    path = place.sent / "lock.yaml"
    path.write_text(path.read_text().replace("component: notes", "component: zzz"))


LOCK = table(
    "lock",
    read.lock,
    UsageError,
    {
        "absolute file": (lock("file:notes.txt", "file:/etc/passwd"), "want a source"),
        "file that climbs": (lock("file:notes.txt", "file:../canary/secret"), "want a source"),
        "folder that climbs": (lock("folder:src", "folder:src/../../canary"), "want a source"),
        "URL with credentials": (lock("file:notes.txt", "https://user:secret@example.invalid/x"), "want a source"),
        "file URL": (lock("file:notes.txt", "file:///etc/passwd"), "want a source"),
        "unknown kind": (lock("file:notes.txt", "git:example.org/x@v1"), "want a source"),
        "another kind": (lock("file:notes.txt", "folder:src"), "the recipe wants"),
        "another digest": (lock(" sha256: ", " sha256: 0"), "64 lower-case hex digits|want"),
        "digest of other bytes": (_other_bytes, "changed"),
        "digest in capital letters": (recipe("lock.yaml", lambda text: text.replace("a", "A")), "."),
        "no digest": (_without_digest, "not pinned by sha256"),
        "source as a module without its hash": (lock("file:notes.txt", "go:example.org/m@v1.0.0"), "not pinned by h1"),
        "module that climbs": (lock("file:notes.txt", "go:example.org/../../m@v1.0.0"), "want a source"),
        "package without files": (lock("file:notes.txt", "deb:bookworm/socat=1"), "not pinned by files"),
        "package file that climbs": (
            lock(
                "file:notes.txt\n",
                "deb:bookworm/socat=1\n  files: [{name: ../../x, size: 1, sha256: " + "0" * 64 + "}]\n",
            ),
            "want a file name",
        ),
        "package file of a size below zero": (
            lock(
                "file:notes.txt\n", "deb:bookworm/socat=1\n  files: [{name: x, size: -1, sha256: " + "0" * 64 + "}]\n"
            ),
            "whole number",
        ),
        "toolchain that climbs": (
            lock("tools: []", "tools:\n- {source: go-toolchain:1.26.8/../../x, h1: h1:" + "A" * 43 + "=, size: 1}"),
            "want a toolchain",
        ),
        "toolchain from elsewhere": (
            lock("tools: []", "tools:\n- {source: go:evil.example/go@v1.0.0, h1: h1:" + "A" * 43 + "=, size: 1}"),
            "want a toolchain",
        ),
        "another recipe's digest": (lock("recipe: sha256:", "recipe: sha256:0"), "want a digest"),
        "another bundle": (lock("tiny@v1.0.0", "evil@v1.0.0"), "the lock is not this recipe's"),
        "time beyond any header": (lock("epoch: 1771545600", "epoch: 99999999999999"), "whole number"),
        "time below zero": (lock("epoch: 1771545600", "epoch: -1"), "whole number"),
        "chart version that climbs": (lock("version: 0.1.0", "version: ../../x"), "a chart's version"),
        "licence that steers a terminal": (lock("file:notes.txt\n", 'file:notes.txt\n  license: "\\e[2J"\n'), r"\\x1b"),
        "licence written backwards": (
            lock("file:notes.txt\n", 'file:notes.txt\n  license: "\\u202Etxt"\n'),
            "cannot be seen",
        ),
        "entries out of order": (_shuffled, "out of order|the lock is not"),
        "component that the recipe has not": (
            lock("component: notes", "component: evil"),
            "not in the recipe|not in it",
        ),
        "an unknown key": (lock("epoch:", "evil: 1\nepoch:"), "unknown key"),
        "another format": (lock("sealift-lock: 1", "sealift-lock: 2"), "whole number"),
        "an alias": (lock("charts:", "x: &x 1\ncharts:"), "an anchor"),
        "a FIFO": (replaced("lock.yaml", os.mkfifo), "no lock"),
        "empty": (recipe("lock.yaml", lambda text: ""), "the file is empty"),
    },
)
ATTACKS: list[Attack] = LOCK
