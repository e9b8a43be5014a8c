"""Recipes: YAML that splits readers, and paths that lead out."""

import os
from pathlib import Path

from bundles.errors import SealiftError, UsageError
from tests.hostile import readers_under_attack as read
from tests.hostile.corpus_model import Attack, table
from tests.hostile.making_recipes import beside, component, laughs, out, recipe, replaced

YAML = table(
    "YAML",
    read.recipe,
    UsageError,
    {
        "billion laughs": (recipe("bundle.yaml", lambda text: text + laughs()), "an anchor"),
        "aliases without end": (
            recipe("bundle.yaml", lambda text: text + "x: [" + "*a," * 400_000 + "1]\n"),
            "an alias|values",
        ),
        "values without end": (
            recipe("bundle.yaml", lambda text: text + "x: [" + "a," * 400_000 + "1]\n"),
            "more than 200000 values",
        ),
        "nested without end": (recipe("bundle.yaml", lambda text: text + "x: " + "[" * 100_000), "nested deeper than"),
        "5 MiB": (recipe("bundle.yaml", lambda text: text + "#" * (5 << 20)), "larger than"),
        "a tag that runs code": (
            recipe("bundle.yaml", lambda text: text + "x: !!python/object/apply:os.system [id]\n"),
            "a tag",
        ),
        "a local tag": (recipe("bundle.yaml", lambda text: text.replace("name: tiny", "name: !x tiny")), "a tag"),
        "a binary value": (
            recipe("bundle.yaml", lambda text: text.replace("name: tiny", "name: !!binary dGlueQ==")),
            "a tag",
        ),
        "a merge key": (recipe("bundle.yaml", lambda text: text + "<<: {name: evil}\n"), "a merge key"),
        "a key twice": (recipe("bundle.yaml", lambda text: text + "name: evil\n"), "the key stands twice"),
        "a key that is a list": (recipe("bundle.yaml", lambda text: text + "? [a]\n: b\n"), "a key must be a word"),
        "a second document": (recipe("bundle.yaml", lambda text: text + "---\nname: evil\n"), "a second document"),
        "a directive": (recipe("bundle.yaml", lambda text: "%YAML 1.1\n---\n" + text), "directive"),
        "a tab": (recipe("bundle.yaml", lambda text: text.replace("name: tiny", "\tname: tiny")), "not YAML"),
        "an octal number": (
            recipe("bundle.yaml", lambda text: text.replace("sequence: 1", "sequence: 010")),
            "whole number",
        ),
        "a hexadecimal number": (
            recipe("bundle.yaml", lambda text: text.replace("sequence: 1", "sequence: 0x1")),
            "whole number",
        ),
        "a number in base 60": (
            recipe("bundle.yaml", lambda text: text.replace("sequence: 1", "sequence: 1:30")),
            "whole number",
        ),
        "a number of 400 digits": (
            recipe("bundle.yaml", lambda text: text.replace("sequence: 1", "sequence: 1" + "0" * 400)),
            "whole number",
        ),
        "a number with an underscore": (
            recipe("bundle.yaml", lambda text: text.replace("sequence: 1", "sequence: 1_0")),
            "whole number",
        ),
        "a number in Arabic digits": (
            recipe("bundle.yaml", lambda text: text.replace("sequence: 1", "sequence: \u0661")),
            "whole number",
        ),
        "a version that is a number": (
            recipe("components.yaml", lambda text: text.replace("1.2.3", "1.10")),
            "some YAML readers take",
        ),
        "Norway": (
            recipe("bundle.yaml", lambda text: text.replace("name: tiny", "name: no")),
            "some YAML readers take",
        ),
        "a date": (
            recipe("bundle.yaml", lambda text: text.replace("name: tiny", "name: 2001-01-01")),
            "some YAML readers take",
        ),
        "byte order mark": (recipe("bundle.yaml", lambda text: "\ufeff" + text), "byte order mark"),
        "not UTF-8": (recipe("bundle.yaml", lambda text: text + "# \udcff\n"), "not UTF-8"),
        "a control character": (recipe("bundle.yaml", lambda text: text.replace("tiny", "t\x07ny")), "not YAML"),
        "an escape sequence in a key": (recipe("bundle.yaml", lambda text: text + '"\\e[2Jx": 1\n'), r"\\x1b"),
        "a direction mark in a key": (recipe("bundle.yaml", lambda text: text + '"\\u202Ex": 1\n'), r"\\u202e"),
        "a line end in a value": (
            recipe("bundle.yaml", lambda text: text.replace("name: tiny", 'name: "a\\nok"')),
            r"\\n",
        ),
        "a NUL in a value": (recipe("bundle.yaml", lambda text: text.replace("name: tiny", 'name: "a\\0b"')), r"\\x00"),
        "half a surrogate pair": (
            recipe("bundle.yaml", lambda text: text.replace("name: tiny", 'name: "\\uD800"')),
            ".",
        ),
    },
)
PATHS = table(
    "paths of a recipe",
    read.recipe,
    SealiftError,
    {
        "file that climbs": (component("  file: ./../secret\n"), "a path|want"),
        "absolute file": (component("  file: /etc/passwd\n"), "want"),
        "file as a URL": (component("  file: file:///etc/passwd\n"), "want"),
        "file with a glob": (component("  file: ./*\n"), "want"),
        "file by way of the home": (component("  file: ~/.ssh/id_rsa\n"), "want"),
        "folder that climbs": (recipe("charts.yaml", lambda text: "one:\n  folder: ../../etc\n"), "want a path"),
        "sources that climb": (component("  compile: ./../..\n  run: [x]\n  output: [x]\n"), "want"),
        "output that climbs": (
            component("  compile: ./src\n  version: 1.2.3\n  run: [x]\n  output: [../../x]\n"),
            "want a path",
        ),
        "absolute output": (
            component("  compile: ./src\n  version: 1.2.3\n  run: [x]\n  output: [/etc/x]\n"),
            "want a path",
        ),
        "Go module that climbs": (component("  go: a/../../b@v1.0.0\n  build: [x]\n"), "want MODULE@VERSION"),
        "Go module as an option": (component("  go: -modfile=x@v1.0.0\n  build: [x]\n"), "want MODULE@VERSION"),
        "Go version as a branch": (component("  go: example.org/m@main\n  build: [x]\n"), "want MODULE@VERSION"),
        "Go tag as an option": (
            component("  go: example.org/m@v1.0.0\n  build: [x]\n  tags: ['-x']\n"),
            "Go build tag",
        ),
        "stamp with a blank": (
            component('  go: example.org/m@v1.0.0\n  build: [x]\n  stamp: {main.v: "x -extld=evil"}\n'),
            "without blanks",
        ),
        "package as an option": (component("  deb: --evil=1\n  files: [x]\n"), "want NAME=VERSION"),
        "member of a package that climbs": (component("  deb: socat=1\n  files: [../../x]\n"), "want a path"),
        "userland path that climbs": (component("  userland: [socat=1]\n  files: [usr/../../x]\n"), "want a path"),
        "link that climbs": (
            component("  userland: [socat=1]\n  files: [bin/a]\n  links: {bin/a: [../../x]}\n"),
            "want a name",
        ),
        "folder in the image that climbs": (
            recipe("images.yaml", lambda text: text.replace("/bin", "/bin/../../x")),
            "absolute path in the image",
        ),
        "URL as a source": (component("  url: https://user:secret@example.invalid/x\n"), "want an https:// URL"),
        "image by a digest": (
            recipe("images.yaml", lambda text: text.replace("rancher/rke2-runtime", "a/b@sha256:" + "0" * 64)),
            ".",
        ),
        "image in capital letters": (
            recipe("images.yaml", lambda text: text.replace("rancher/", "RANCHER/")),
            "malformed",
        ),
        "file that is a link out": (
            replaced("notes.txt", lambda path: path.symlink_to(out(path.parent))),
            "leads out of the recipe",
        ),
        "file that is a link in circles": (
            replaced("notes.txt", lambda path: path.symlink_to(path.name)),
            "leads out|no file",
        ),
        "file that is a FIFO": (replaced("notes.txt", os.mkfifo), "no file"),
        "components.yaml as a FIFO": (replaced("components.yaml", os.mkfifo), "the file is missing"),
        "components.yaml as a device": (
            replaced("components.yaml", lambda path: path.symlink_to("/dev/zero")),
            "the file is missing",
        ),
        "bundle.yaml as a folder": (replaced("bundle.yaml", Path.mkdir), "bundle.yaml is missing"),
        "file beside the known ones": (
            beside(lambda root: (root / "image.yaml").write_text("x: 1\n")),
            "no file of a recipe",
        ),
    },
)
ATTACKS: list[Attack] = YAML + PATHS
