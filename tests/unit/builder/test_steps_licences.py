"""Licences are read where sources are at hand: modules, packages, source packages, folders and charts."""

import io
import lzma
import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import pytest

from builder.errors import StepError
from builder.lock.model import LockedChart, LockedFile, LockedInput
from builder.plan.model import Receipt
from builder.recipe.model import (
    CompileComponent,
    DebComponent,
    FileComponent,
    FolderChart,
    GoComponent,
    UserlandComponent,
)
from builder.steps import chart, licences
from builder.steps.context import Job
from builder.steps.userland import STATUS
from builder.store import Store
from builder.tree import folder_digest
from bundles.errors import FormatError
from tests.support.stepping import EPOCH, NOTHING, a_lock, a_recipe, run_job, stored, write_tree

APACHE = (Path(__file__).resolve().parents[3] / "LICENSE").read_text()
NOTICE = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
License: GPL-2+ and own

License: own
 words
"""
EXPRESSION = "GPL-2.0-or-later AND LicenseRef-debian-src-own"
TOOL = GoComponent(name="tool", module="a.test/Tool", version="v1.0.0", folder=None, packages={"tool": ""})


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def job_of(*arguments: object) -> Job:
    found = licences.describe(*arguments)  # type: ignore[arg-type]
    assert found is not None
    return found


def programs(*modules: str, main: str = "a.test/Tool@v1.0.0") -> Mapping[str, Receipt]:
    rows = [dict(zip(("path", "version"), each.split("@"), strict=False)) for each in modules]
    return {
        "component tool": Receipt(outputs={}, facts={"programs": {"tool": {"go": {"main": main, "modules": rows}}}})
    }


def test_every_module_that_a_program_carries_by_the_files_at_its_root(store: Store, tmp_path: Path) -> None:
    texts = {
        "a.test/!tool@v1.0.0/LICENSE": APACHE,
        "b.test/x@v0.1.0/COPYING": "nobody knows these words\n",
        "b.test/x@v0.1.0/LICENSE": APACHE,
        "c.test/y@v2.0.0/readme": "no licence\n",
        "c.test/y@v2.0.0/sub/LICENSE": APACHE,
    }
    write_tree(store.go_mod, texts)
    needed = programs("b.test/x@v0.1.0", "c.test/y@v2.0.0", "./local")
    receipt = run_job(job_of(TOOL, ()), a_recipe(tmp_path, TOOL), store, needed=needed)
    assert receipt.facts == {"modules": {"a.test/Tool@v1.0.0": "Apache-2.0"}}


def test_a_module_that_is_not_there_is_an_error_and_no_unknown_licence(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StepError, match="not in the store"):
        run_job(job_of(TOOL, ()), a_recipe(tmp_path, TOOL), store, needed=programs("b.test/x@v0.1.0"))


def test_a_module_beside_the_recipe_has_the_licence_that_lies_in_it(store: Store, tmp_path: Path) -> None:
    write_tree(tmp_path, {"src/LICENSE": APACHE})
    own = GoComponent(name="tool", module=None, version="v1", folder=PurePosixPath("src"), packages={"tool": "."})
    receipt = run_job(job_of(own, ()), a_recipe(tmp_path, own), store, needed=programs(main="x.test/tool@(devel)"))
    assert receipt.facts == {"modules": {"x.test/tool@(devel)": "Apache-2.0"}}


def compiled(source: str) -> CompileComponent:
    return CompileComponent(name="c", source=source, version="1", run=(), output={"c": PurePosixPath("c")})


def packed(name: str, text: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:xz") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(text.encode())
        archive.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


def debian_source(store: Store, data: bytes) -> LockedInput:
    file = LockedFile(name="src_1-1.debian.tar.xz", size=len(data), digest=store.put(data))
    return LockedInput(component="c", source="deb-source:stable/src=1-1", files=(file,))


def test_a_source_package_by_its_copyright_file(store: Store, tmp_path: Path) -> None:
    locked = debian_source(store, packed("debian/copyright", NOTICE))
    c = compiled("deb-source:src=1-1")
    receipt = run_job(job_of(c, (locked,)), a_recipe(tmp_path, c), store)
    assert receipt.facts == {"source": EXPRESSION, "texts": {"LicenseRef-debian-src-own": "words"}}


@pytest.mark.parametrize("data", [lzma.compress(b"no tar" * 200), packed("debian/copyright", NOTICE)[:-40]])
def test_a_damaged_source_package_is_an_error(store: Store, tmp_path: Path, data: bytes) -> None:
    c = compiled("deb-source:src=1-1")
    with pytest.raises(FormatError):
        run_job(job_of(c, (debian_source(store, data),)), a_recipe(tmp_path, c), store)


def test_a_folder_of_the_recipe(store: Store, tmp_path: Path) -> None:
    write_tree(tmp_path, {"src/LICENSE.txt": APACHE})
    locked = LockedInput(component="c", source="folder:src", digest=NOTHING)
    receipt = run_job(job_of(compiled("./src"), (locked,)), a_recipe(tmp_path), store)
    assert receipt.facts["source"] == "Apache-2.0"


def test_packages_of_a_userland_and_one_that_shares_the_notice_of_its_source(store: Store, tmp_path: Path) -> None:
    control = "Package: {}\nStatus: install ok installed\nVersion: 1-1+b1\nArchitecture: amd64\nSource: src (1-1)\n"
    outputs = stored(store, x=control.format("a").encode(), y=control.format("b").encode(), z=NOTICE.encode()).outputs
    named = {f"{STATUS}/a": outputs["x"], f"{STATUS}/b": outputs["y"], "usr/share/doc/a/copyright": outputs["z"]}
    base = UserlandComponent(name="base", packages=("a=1",), files=("x",))
    receipt = run_job(job_of(base, ()), a_recipe(tmp_path), store, needed={"component base": Receipt(outputs=named)})
    row = {
        "version": "1-1+b1",
        "source": "src",
        "source_version": "1-1",
        "architecture": "amd64",
        "licence": EXPRESSION,
    }
    assert receipt.facts["packages"] == {"a": row, "b": row}


@pytest.mark.parametrize(
    ("files", "want"),
    [
        ({"Chart.yaml": "name: one\nversion: 1.0.0\nannotations: {artifacthub.io/license: MIT}\n"}, "MIT"),
        ({"Chart.yaml": "name: one\nversion: 1.0.0\nannotations: {artifacthub.io/license: Mine}\n"}, ""),
        ({"Chart.yaml": "name: one\nversion: 1.0.0\n", "LICENSE": APACHE}, "Apache-2.0"),
        ({"Chart.yaml": "name: one\nversion: 1.0.0\n"}, ""),
    ],
)
def test_a_chart_says_it_itself_or_brings_the_text(
    store: Store, tmp_path: Path, files: dict[str, str], want: str
) -> None:
    write_tree(tmp_path / "charts/one", files)
    one = FolderChart(name="one", folder=PurePosixPath("charts/one"))
    locked = LockedChart(name="one", version="1.0.0", digest=folder_digest(tmp_path / "charts/one"))
    recipe, lock = a_recipe(tmp_path, charts=(one,)), a_lock(charts=(locked,))
    made = run_job(chart.describe(one, locked, EPOCH), recipe, store, lock=lock)
    receipt = run_job(licences.describe_chart(one), recipe, store, lock=lock, needed={"chart one": made})
    assert receipt.facts["source"] == want


def test_a_file_says_nothing_and_has_no_step() -> None:
    file = FileComponent(name="f", path=PurePosixPath("f"))
    locked = LockedInput(component="f", source="file:f", digest=NOTHING)
    assert licences.describe(file, (locked,)) is None


def test_a_binary_package_is_looked_into(store: Store, tmp_path: Path) -> None:
    deb = DebComponent(name="d", package="d", version="1-1", files={"x": PurePosixPath("x")})
    data = archive({"control.tar.xz": packed("control", "Package: d\nVersion: 1-1\nArchitecture: all\nSource: src\n"),
                    "data.tar.xz": packed("./usr/share/doc/d/copyright", NOTICE)})  # fmt: skip
    file = LockedFile(name="d.deb", size=len(data), digest=store.put(data))
    locked = LockedInput(component="d", source="deb:stable/d=1-1", files=(file,))
    receipt = run_job(job_of(deb, (locked,)), a_recipe(tmp_path, deb), store)
    assert receipt.facts["packages"]["d"] == {
        "version": "1-1",
        "source": "src",
        "source_version": "1-1",
        "architecture": "all",
        "licence": EXPRESSION,
    }


def archive(members: Mapping[str, bytes]) -> bytes:
    """ar(5)."""
    out = b"!<arch>\n"
    for name, data in {"debian-binary": b"2.0\n", **members}.items():
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)
    return out
