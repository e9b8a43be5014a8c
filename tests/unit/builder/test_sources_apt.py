"""Debian packages: private lists from the machine's, records as values, what was locked and nothing else."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pytest

from builder.errors import StepError
from builder.sources.apt import AptClient
from builder.sources.aptlists import (
    parse_madison,
    parse_name,
    parse_records,
    parse_simulated,
    source_files,
    with_sources,
)
from builder.sources.deb import WantedPackage, lock_package, lock_userland
from builder.sources.verified import Verified
from builder.store import Store
from bundles.errors import FormatError, MissingError
from tests.support.programs import FakePrograms

ORIG, DSC, DEB = b"the sources\n", b"Format: 3.0 (quilt)\n", b"!<arch>\na package\n"


def line(content: bytes, name: str) -> str:
    return f" {hashlib.sha256(content).hexdigest()} {len(content)} {name}"


SHOWSRC = f"""\
Package: tool
Version: 1.0-1
Checksums-Sha256:
{line(b"old", "tool_1.0-1.dsc")}

Package: tool
Binary: tool,
 tool-extra
Version: 1:2.0-1
Checksums-Sha256:
{line(DSC, "tool_2.0-1.dsc")}
{line(ORIG, "tool_2.0.orig.tar.gz")}
Directory: pool/main/t/tool
"""
SHOW = f"""\
Package: tool
Version: 1:2.0-1
Filename: pool/main/t/tool/tool_2.0-1_amd64.deb
Size: {len(DEB)}
SHA256: {hashlib.sha256(DEB).hexdigest()}
"""
MADISON = """\
      tool | 1:2.0-1 | http://archive bookworm/main amd64 Packages
      tool | 1:2.0-1 | http://archive bookworm-updates/main Sources
"""


@dataclass
class AptLab:
    """Fake apt programs that answer from files, and the machine's own list of archives."""

    root: Path

    def __post_init__(self) -> None:
        self.answer("showsrc", SHOWSRC.encode())
        self.answer("show", SHOW.encode())
        self.answer("madison", MADISON.encode())
        self.serve("tool_2.0-1.dsc", DSC)
        self.serve("tool_2.0.orig.tar.gz", ORIG)
        self.serve("tool_1%3a2.0-1_amd64.deb", DEB)
        etc = self.root / "etc"
        (etc / "parts").mkdir(parents=True)
        (etc / "sources.list").write_text("deb http://archive bookworm main\n")
        (etc / "parts/more.sources").write_text("Types: deb\nURIs: http://archive\nSuites: more\n")
        (etc / "parts/off.list.disabled").write_text("deb http://off off main\n")
        self.programs.add("apt-config", f"echo \"LIST='{etc}/sources.list'\"; echo \"PARTS='{etc}/parts/'\"")
        # The verb is the first word that is no option and no option's value.
        verb = 'while [ "${1#-}" != "$1" ]; do [ "$1" = -o ] && shift; shift; done'
        self.programs.add("apt-cache", f'{verb}\ncat "{self.root}/answers/$1"')
        serve = f'cd "{self.root}/served"; case $1 in update) exit 0;; source) cp tool_2.0* "$OLDPWD";;'
        serve += f' download) cp *.deb "$OLDPWD";; install) cat "{self.root}/answers/simulate";; esac'
        self.programs.add("apt-get", f"{verb}\n{serve}")

    def answer(self, verb: str, text: bytes) -> None:
        (self.root / "answers").mkdir(exist_ok=True)
        (self.root / "answers" / verb).write_bytes(text)

    def serve(self, name: str, content: bytes) -> None:
        (self.root / "served").mkdir(exist_ok=True)
        (self.root / "served" / name).write_bytes(content)

    @property
    def programs(self) -> FakePrograms:
        return FakePrograms(self.root / "programs")

    @property
    def store(self) -> Store:
        return Store(self.root / "store")

    def client(self, *, offline: bool = False) -> AptClient:
        environment = self.programs.environment()
        return AptClient(store=self.store, host_env=environment, architecture="amd64", offline=offline)

    def wanted(self, *, source: bool = True, offline: bool = False) -> WantedPackage:
        locked = lock_package(self.client(), "tool", "tool=1:2.0-1", source=source)
        client = self.client(offline=offline)
        return WantedPackage(name=locked.source, client=client, verified=Verified(self.store), files=locked.files)


@pytest.fixture
def lab(tmp_path: Path) -> AptLab:
    return AptLab(tmp_path)


def test_one_line_lists_get_their_sources() -> None:
    one = "deb [signed-by=/k arch=amd64] http://archive bookworm main contrib # here\n"
    text = f"# a comment\n{one}\ndeb-src http://x y z\n"
    assert with_sources("a.list", text) == (
        "deb [signed-by=/k arch=amd64] http://archive bookworm main contrib\n"
        "deb-src [signed-by=/k arch=amd64] http://archive bookworm main contrib\n"
        "deb http://x y z\ndeb-src http://x y z\n"
    )


def test_lists_of_records_get_their_sources() -> None:
    text = "# why\nTypes: deb\nURIs: http://archive\nSuites: bookworm\nSigned-By:\n -----BEGIN\n .\n"
    assert with_sources("a.sources", text) == text.replace("Types: deb", "Types: deb deb-src")


def test_records_keep_continued_lines_apart() -> None:
    (first, second) = parse_records("A: 1\nB:\n x\n y\n\n\nA: 2\n")
    assert first == {"A": "1", "B": "\nx\ny"} and second == {"A": "2"}


@pytest.mark.parametrize("text", ["tool", "tool=", "=1", "-o=1", "tool=-1", "Tool=1", "tool=1 2", "tool=1;x"])
def test_names_that_apt_could_read_as_something_else_are_refused(text: str) -> None:
    with pytest.raises(FormatError):
        parse_name(text)


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden"])
def test_file_names_of_an_index_never_lead_elsewhere(name: str) -> None:
    text = f"Package: tool\nVersion: 1\nChecksums-Sha256:\n {'0' * 64} 1 {name or '/'}\n"
    with pytest.raises(FormatError):
        source_files(text, "tool", "1")


def test_the_suite_is_that_of_the_kind_asked_for() -> None:
    assert parse_madison(MADISON, "tool", "1:2.0-1", sources=False) == "bookworm"
    assert parse_madison(MADISON, "tool", "1:2.0-1", sources=True) == "bookworm-updates"
    assert parse_madison(MADISON, "tool", "9", sources=True) is None


def test_a_source_package_is_locked_with_all_its_files(lab: AptLab) -> None:
    locked = lock_package(lab.client(), "tool", "tool=1:2.0-1", source=True)
    assert locked.source == "deb-source:bookworm-updates/tool=1:2.0-1"
    assert [(file.name, file.size) for file in locked.files] == [
        ("tool_2.0-1.dsc", len(DSC)), ("tool_2.0.orig.tar.gz", len(ORIG))
    ]  # fmt: skip


def test_a_binary_package_is_locked_with_its_file(lab: AptLab) -> None:
    locked = lock_package(lab.client(), "tool", "tool=1:2.0-1", source=False)
    assert locked.source == "deb:bookworm/tool=1:2.0-1"
    assert [file.name for file in locked.files] == ["tool_2.0-1_amd64.deb"]


def test_lists_are_private_copies_of_the_machine_s_with_sources(lab: AptLab) -> None:
    lab.client().ensure_lists()
    parts = lab.client().folder / "sources.list.d"
    assert sorted(path.name for path in parts.iterdir()) == ["more.sources", "sources.list"]
    assert "deb-src http://archive bookworm main" in (parts / "sources.list").read_text()
    (call,) = lab.programs.calls("apt-get")
    assert f"Dir::Etc::sourceparts={parts}" in call and "Dir::State::lists=" in call


def test_a_version_that_no_archive_lists_is_an_error_that_shows_what_is(lab: AptLab) -> None:
    with pytest.raises(MissingError, match="no archive lists the source package tool=9") as caught:
        lock_package(lab.client(), "tool", "tool=9", source=True)
    assert caught.value.got == "1:2.0-1"
    assert len([call for call in lab.programs.calls("apt-get") if call.endswith("update")]) == 2, (
        "lists were renewed once"
    )


@pytest.mark.parametrize("source", [True, False])
def test_files_are_kept_under_their_digests(lab: AptLab, source: bool) -> None:
    wanted = lab.wanted(source=source)
    assert not wanted.present()
    wanted.fetch()
    assert wanted.present()
    assert all(lab.store.has(file.digest, file.size) for file in wanted.files)
    calls = lab.programs.calls("apt-get")
    wanted.fetch()
    assert lab.programs.calls("apt-get") == calls, "nothing is brought twice"


def test_other_bytes_than_locked_are_refused_and_not_kept(lab: AptLab) -> None:
    wanted = lab.wanted()
    lab.serve("tool_2.0.orig.tar.gz", b"something else")
    with pytest.raises(FormatError, match=r"tool_2\.0\.orig\.tar\.gz is not what was locked"):
        wanted.fetch()
    assert not wanted.present()
    assert not lab.store.has(wanted.files[1].digest)


def test_a_damaged_blob_is_brought_again(lab: AptLab) -> None:
    wanted = lab.wanted()
    wanted.fetch()
    path = lab.store.path(wanted.files[1].digest)
    path.chmod(0o644)
    path.write_bytes(b"x" * len(ORIG))
    assert not wanted.present()
    wanted.fetch()
    assert lab.store.read(wanted.files[1].digest) == ORIG


def test_offline_nobody_is_asked(lab: AptLab) -> None:
    wanted = lab.wanted(offline=True)
    calls = lab.programs.calls("apt-get")
    with pytest.raises(MissingError, match="not in the store"):
        wanted.fetch()
    assert lab.programs.calls("apt-get") == calls


def test_a_download_that_fails_is_tried_again_with_fresh_lists(lab: AptLab) -> None:
    wanted = lab.wanted()
    lab.programs.add("apt-get", "case $* in *update) exit 0;; *) echo gone >&2; exit 100;; esac")
    with pytest.raises(StepError, match="exit code 100"):
        wanted.fetch()
    assert [call.split()[-1] for call in lab.programs.calls("apt-get")][-3:] == [
        "tool=1:2.0-1",
        "update",
        "tool=1:2.0-1",
    ]


def test_a_machine_without_apt_is_told_so(lab: AptLab) -> None:
    environment = {"PATH": str(lab.root / "none"), "HOME": "/"}
    client = AptClient(store=lab.store, host_env=environment, architecture="amd64")
    with pytest.raises(MissingError, match="Debian"):
        client.ensure_lists()


SIMULATED = """\
NOTE: This is only a simulation!
Inst libone1 (1:2.0-1 Debian:12.1/stable [amd64])
Inst gcc-12-base (12.2.0-14 Debian:12.1/stable, Debian-Security:12/oldstable-security [amd64])
Inst tool [0.9] (1:2.0-1 Debian:12.1/stable [amd64]) [libone1:amd64 ]
Conf libone1 (1:2.0-1 Debian:12.1/stable [amd64])
"""


def test_what_apt_would_install_is_read_from_its_words() -> None:
    assert parse_simulated(SIMULATED) == ("gcc-12-base=12.2.0-14", "libone1=1:2.0-1", "tool=1:2.0-1")
    with pytest.raises(FormatError):
        parse_simulated("Inst -o (1 x)\n")


def test_a_userland_is_locked_with_the_libraries_of_its_packages_and_nothing_else(lab: AptLab) -> None:
    lab.answer("simulate", SIMULATED.encode())
    library = SHOW.replace("tool", "libone1")
    lab.answer("show", f"{SHOW}\n{library}".encode())
    lab.answer("madison", MADISON.encode() + MADISON.replace("tool", "libone1").encode())
    locked = lock_userland(lab.client(), "base", ["tool=1:2.0-1"])
    assert [each.source for each in locked] == ["deb:bookworm/tool=1:2.0-1", "deb:bookworm/libone1=1:2.0-1"]
    assert {each.component for each in locked} == {"base"}
    (call,) = [call for call in lab.programs.calls("apt-get") if "install" in call.split()]
    assert call.endswith("--simulate --no-install-recommends install tool=1:2.0-1")


@pytest.mark.parametrize("line", ["ab", "ab 12", "ab 12 x y", f"{'ab' * 32} {'9' * 5000} x", f"{'ab' * 32} ² x"])
def test_a_package_index_with_an_odd_line_is_refused(line: str) -> None:
    with pytest.raises(FormatError, match="package index"):
        source_files(f"Package: x\nVersion: 1\nChecksums-Sha256:\n {line}\n", "x", "1")
    assert parse_madison(" x | 1 | http://h\n", "x", "1", sources=False) is None


def test_a_line_of_nothing_but_a_comment_lists_no_archive() -> None:
    assert (
        with_sources("x.list", "deb # nothing\ndeb http://h s c # what\n") == "deb http://h s c\ndeb-src http://h s c\n"
    )
