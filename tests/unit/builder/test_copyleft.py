"""Sources that licences ask for: asked when in doubt, each choice explained, nothing forgotten."""

import json
from pathlib import Path
from typing import Any

import pytest

from builder.copyleft.asks import verdict
from builder.copyleft.collect import Wanted, collect, things_and_recipe
from builder.copyleft.listing import Row, list_document, list_text
from builder.copyleft.shipped import Shipped, shipped
from bundles.errors import FormatError
from tests.support.golab import GoLab

FREE = ["MIT", "Apache-2.0", "BSD-3-Clause AND MIT", "GPL-2.0-only OR MIT", "(MIT OR GPL-3.0-only) AND ISC"]
ASKING = [
    "GPL-2.0-only", "LGPL-2.1-or-later", "AGPL-3.0-only", "MPL-2.0", "MIT AND MPL-2.0", "MIT AND (GPL-3.0-only)",
    "GPL-2.0-only WITH Classpath-exception-2.0", "EPL-2.0", "CC-BY-SA-4.0", "GPL-2.0+", "GPL-2.0-only OR LGPL-2.1-only",
]  # fmt: skip
DOUBTFUL = ["", "NOASSERTION", "NONE", "LicenseRef-debian-x-y", "MIT AND SomethingElse-1.0", "mit"]
BROKEN = ["MIT AND", "(MIT", "MIT)", "AND MIT", "()", "MIT WITH", "MIT MIT", "(" * 500 + "MIT" + ")" * 500]


@pytest.mark.parametrize("expression", FREE)
def test_a_licence_that_asks_for_nothing_is_not_asked(expression: str) -> None:
    found = verdict(expression)
    assert not found.asked and expression in found.why


@pytest.mark.parametrize("expression", ASKING)
def test_copyleft_asks_and_is_named(expression: str) -> None:
    found = verdict(expression)
    assert found.asked and "asks for it" in found.why


@pytest.mark.parametrize("expression", [*DOUBTFUL, *BROKEN])
def test_what_is_not_known_is_treated_as_asking(expression: str) -> None:
    found = verdict(expression)
    assert found.asked and "treated as asking" in found.why


def bill(components: list[dict[str, Any]], dependencies: list[dict[str, Any]] | None = None) -> bytes:
    return json.dumps({"components": components, "dependencies": dependencies or []}).encode()


def one(ref: str, licence: str = "", **notes: str) -> dict[str, Any]:
    properties = [{"name": f"sealift:{name.replace('_', ':')}", "value": value} for name, value in notes.items()]
    licences = [{"expression": licence}] if licence else []
    return {"bom-ref": ref, "type": "library", "name": "x", "licenses": licences, "properties": properties}


def test_every_shipped_thing_is_told_with_its_source() -> None:
    found = shipped(
        bill(
            [
                one("go:example.test/a@v1.0.0", "MPL-2.0", go_h1="h1:x"),
                one("go:example.test/b@v1.0.0", "MIT"),
                one("go:stdlib@1.26.8", "BSD-3-Clause"),
                one("go:sealift.build/job@(devel)", "Apache-2.0"),
                one("deb:libtool1=1.0-1+b2", "MIT", deb_source="tool=1.0-1"),
                one("deb:libc6-dev=2.36-9"),
                one("source:deb-source:bookworm/socat=1.7.4.4-2"),
                one("source:folder:src/pause"),
                one("chart:coredns", "Apache-2.0"),
                one("file:cni/install.sh", component="cni"),
                one("file:box/busybox", component="box"),
                one("image:docker.io/rancher/ours:v1"),
                one("image:docker.io/rancher/theirs:v1"),
                one("program:app/app", "MIT"),
                one("tool:gcc"),
            ],
            [
                {"ref": "image:docker.io/rancher/ours:v1", "dependsOn": ["program:app/app"]},
                {"ref": "image:docker.io/rancher/theirs:v1"},
                {"ref": "file:box/busybox", "dependsOn": ["deb:libtool1=1.0-1+b2"]},
            ],
        ),
        "bill",
    )
    assert {each.key: (each.asked, each.source) for each in found} == {
        "go:example.test/a@v1.0.0": (True, "go:example.test/a@v1.0.0"),
        "go:example.test/b@v1.0.0": (False, "go:example.test/b@v1.0.0"),
        "go:stdlib@1.26.8": (False, ""),
        "go:sealift.build/job@(devel)": (False, "recipe:"),
        "deb:libtool1=1.0-1+b2": (True, "deb-source:tool=1.0-1"),
        "deb:libc6-dev=2.36-9": (True, "deb:libc6-dev=2.36-9"),
        "source:deb-source:bookworm/socat=1.7.4.4-2": (True, "deb-source:socat=1.7.4.4-2"),
        "source:folder:src/pause": (True, "recipe:"),
        "chart:coredns": (False, ""),
        "file:cni/install.sh": (True, "component:cni"),
        "image:docker.io/rancher/theirs:v1": (True, ""),
    }
    assert next(each for each in found if each.key.startswith("go:example.test/a")).h1 == "h1:x"
    assert all(each.why for each in found)


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b'{"components": 1}', bill([one("no colon")]), bill([one("go:\x1b[31m")]), b'{"components":[{}]}'],
)
def test_a_hostile_bill_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        shipped(data, "bill")


def thing(key: str, source: str, licence: str = "MPL-2.0", h1: str = "") -> Shipped:
    found = verdict(licence)
    return Shipped(key=key, licence=licence, asked=found.asked, why=found.why, source=source, h1=h1)


@pytest.fixture
def lab(tmp_path: Path) -> GoLab:
    return GoLab(tmp_path)


def test_modules_and_the_recipe_are_there_and_what_is_not_says_why(lab: GoLab, tmp_path: Path) -> None:
    things = (
        thing("go:example.test/app@v1.2.0", "go:example.test/app@v1.2.0"),
        thing("go:example.test/lib/alpha@v1.0.0", "go:example.test/lib/alpha@v1.0.0", "MIT"),
        thing("go:example.test/gone@v1.0.0", "go:example.test/gone@v1.0.0", ""),
        thing("image:theirs", "", ""),
    )
    wanted = Wanted(name="lab-v1", things=things_and_recipe(things, "lab-v1"), recipe=b"tar")
    done = collect(wanted, tmp_path / "out", lab.fetching())
    rows = {row.what: row for row in done.rows}
    assert rows["go:example.test/app@v1.2.0"].files == (
        "go/example.test/app/@v/v1.2.0.info",
        "go/example.test/app/@v/v1.2.0.zip",
    )
    assert not rows["go:example.test/lib/alpha@v1.0.0"].files
    assert rows["recipe:lab-v1"].files == ("recipe-lab-v1.tar",)
    assert {row.what for row in done.missing} == {"go:example.test/gone@v1.0.0", "image:theirs"}
    assert "not there:" in rows["go:example.test/gone@v1.0.0"].why
    listed = {line.split("  ")[1] for line in (tmp_path / "out/SHA256SUMS").read_text().splitlines()}
    present = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert listed == present - {"SHA256SUMS"}


def test_another_module_than_was_compiled_is_refused(lab: GoLab, tmp_path: Path) -> None:
    things = (thing("go:example.test/app@v1.2.0", "go:example.test/app@v1.2.0", h1="h1:" + "A" * 43 + "="),)
    with pytest.raises(FormatError, match="not what was compiled"):
        collect(Wanted(name="lab-v1", things=things), tmp_path / "out", lab.fetching())


def test_the_list_names_what_is_missing_first() -> None:
    rows = [
        Row(what="go:a", licence="MIT", asked=False, why="free", files=()),
        Row(what="go:b", licence="", asked=True, why="nobody says", files=()),
        Row(what="go:c", licence="MPL-2.0", asked=True, why="MPL-2.0 asks", files=("go/c.zip",)),
    ]
    text = list_text("lab", rows).decode()
    assert text.index("go:b") < text.index("go:c") < text.index("go:a")
    assert json.loads(list_document("lab", rows))["things"][1]["asked"] is True
