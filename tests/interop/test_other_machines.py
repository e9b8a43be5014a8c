"""The same bytes on machines that differ in one thing, and in everything at once: as root, as nobody, in a container.

Each build is a whole `sealift build` by Debian's own Python, from an input archive (`sealift fetch --to`). Where all
differs, the store is empty, there is no network at all, and C, cgo and Go are compiled from nothing. Where one thing
does, it is the C program, which takes in what its commands see.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support import roots
from tests.support.mixed import mixed_recipe
from tests.support.node import sealift

pytestmark = pytest.mark.real
ROOT = Path(__file__).resolve().parents[2]
SITE = next((ROOT / ".venv/lib").glob("python*/site-packages"))
SEALIFT = ["/usr/bin/python3", "-c", "from builder.cli import main; main()"]
NOBODY = 65534
FAKETIME = "usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
BEFORE = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
# Who builds -> how one becomes that, and how namespaces are made then.
PEOPLE = {
    "root": ([], ["unshare"]),
    "nobody": (BEFORE, ["unshare", "--user", "--map-current-user", "--keep-caps"]),
    "the root of a user namespace": ([*BEFORE, "unshare", "--user", "--map-root-user"], ["unshare"]),
}


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What is other there: `namespaces` for unshare, `wrap` around the command, variables, umask, where the recipe is.

    `seen`: a shell command on that machine, and what it says there and not here.
    """

    seen: tuple[str, str]
    namespaces: tuple[str, ...] = ()
    wrap: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    umask: int = 0o022
    place: str = "recipe"


HOSTNAME = ("sh", "-ec", 'hostname far-away; exec "$@"', "sh")
OTHERS = {
    "user name and home": Machine(
        env={"USER": "mallory", "LOGNAME": "mallory", "HOME": "/nonexistent"}, seen=("echo $USER $HOME", "mallory /non")
    ),
    "path": Machine(place="very/deep and/with blanks/of it", seen=("pwd", "/very/deep and/with blanks/of it")),
    "host name": Machine(
        namespaces=("--uts",), wrap=HOSTNAME, env={"HOSTNAME": "far-away"}, seen=("uname -n", "far-away")
    ),
    "one processor": Machine(wrap=("taskset", "-c", "0"), seen=("nproc", "1")),
    "few processes": Machine(wrap=("prlimit", "--nofile=256", "--stack=4194304"), seen=("ulimit -n", "256")),
    "umask that hides": Machine(umask=0o077, seen=("umask", "0077")),
    "umask that shows": Machine(umask=0, seen=("umask", "0000")),
    "time since boot": Machine(
        namespaces=("--time", "--boottime", "400000000", "--monotonic", "400000000"),
        seen=("test $(cut -d. -f1 /proc/uptime) -gt 400000000; echo $?", "0"),
    ),
    "date": Machine(
        env={"FAKETIME": "@2001-01-01 11:12:13", "TZ": "Pacific/Kiritimati"}, seen=("date +%Y", "2001")
    ),
    "language": Machine(env={"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8"}, seen=("echo $LC_ALL", "tr_TR")),
    "kernel": Machine(wrap=("setarch", "x86_64", "--uname-2.6", "--addr-no-randomize"), seen=("uname -r", "2.6.")),
}  # fmt: skip
ALL_AT_ONCE = Machine(
    namespaces=(*OTHERS["host name"].namespaces, *OTHERS["time since boot"].namespaces, "--net"),
    wrap=(*HOSTNAME, *OTHERS["kernel"].wrap),
    env={name: value for each in OTHERS.values() for name, value in each.env.items()},
    umask=0o077,
    place=OTHERS["path"].place,
    seen=("echo $(uname -n) $(umask) $(date +%Y) $(tail -n +3 /proc/net/dev | wc -l)", "far-away 0077 2001"),
)


@dataclass(frozen=True)
class Kept:
    """What the first machine made: recipes `all` and `c`, their bundles, and the input archive of `all`."""

    folder: Path

    def bundle(self, name: str) -> dict[str, str]:
        return contents(self.folder / f"out-{name}")


def contents(folder: Path) -> dict[str, str]:
    """Path -> mode and bytes of each file of a bundle, and the modes of its folders."""
    return {
        str(path.relative_to(folder)): f"{path.stat().st_mode:o} {path.read_bytes().hex() if path.is_file() else ''}"
        for path in folder.rglob("*")
    }


@pytest.fixture(scope="module")
def kept() -> Iterator[Kept]:
    """Where everybody can read; built in the warm store, by what may be weeks old."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for word, names in (("all", ()), ("c", ("tool",))):
            recipe = mixed_recipe(folder / word, *names)
            sealift("build", recipe, "--output", folder / f"out-{word}")
        sealift("fetch", folder / "all", "--to", folder / "inputs")
        shutil.copy(roots.root("libfaketime") / FAKETIME, folder / "libfaketime.so")
        yield Kept(folder)


@dataclass
class Person:
    """Somebody with a store of their own, empty at first."""

    name: str
    home: Path
    kept: Kept

    def run(self, machine: Machine, command: list[str | Path]) -> "subprocess.CompletedProcess[str]":
        """A command on that machine, below its folder."""
        become, unshare = PEOPLE[self.name]
        place = self.home / machine.place
        place.mkdir(parents=True, exist_ok=True)
        namespaces = [*unshare, *machine.namespaces, "--"] if machine.namespaces else []
        env = {"PATH": os.environ["PATH"], "HOME": str(self.home), "PYTHONPATH": f"{ROOT}:{SITE}"} | machine.env
        env |= {"LD_PRELOAD": str(self.kept.folder / "libfaketime.so")} if "FAKETIME" in machine.env else {}
        words = [*become, *namespaces, *machine.wrap, *map(str, command)]
        if "LD_PRELOAD" in env:  # the programs around it have no time of their own
            words = [
                *become,
                *namespaces,
                *machine.wrap,
                "env",
                f"LD_PRELOAD={env.pop('LD_PRELOAD')}",
                *map(str, command),
            ]
        return subprocess.run(
            words, cwd=place, env=env | {"PYTHONDONTWRITEBYTECODE": "1"}, umask=machine.umask,
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
        )  # fmt: skip

    def build(self, machine: Machine, which: str, jobs: int) -> dict[str, str]:
        """The bundle of a recipe that lies in the machine's folder; all steps are run."""
        place = self.home / machine.place
        shutil.copytree(self.kept.folder / which, place / which)
        self.give(self.home)
        shutil.rmtree(self.home / "store/steps", ignore_errors=True)
        words: list[str | Path] = [*SEALIFT, "build", place / which, "--inputs", self.kept.folder / "inputs"]
        words += ["--offline", "--store", self.home / "store", "--output", place / "out", "--jobs", str(jobs)]
        done = self.run(machine, [*words, "--progress", "plain", "--require-sandbox"])
        assert done.returncode == 0, done.stderr[-4000:]
        assert " 0 cached" in done.stderr
        found = contents(place / "out")
        shutil.rmtree(place / which)
        shutil.rmtree(place / "out")
        return found

    def give(self, folder: Path) -> None:
        """Makes it theirs: what root put there."""
        if PEOPLE[self.name][0]:
            for path in (folder, *(path for path in folder.rglob("*") if "store" not in path.parts)):
                os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


@pytest.fixture(scope="module", params=PEOPLE)
def person(request: pytest.FixtureRequest, kept: Kept) -> Iterator[Person]:
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        found = Person(request.param, Path(name), kept)
        found.give(Path(name))
        yield found


def test_a_machine_where_everything_is_other_without_network_gives_the_same_bytes(person: Person, kept: Kept) -> None:
    command, want = ALL_AT_ONCE.seen
    assert person.run(ALL_AT_ONCE, ["sh", "-c", command]).stdout == f"{want} 1\n"  # one device: lo
    which = "all" if person.name == "nobody" else "c"  # Go's programs take long, and root's are built in other tests
    assert person.build(ALL_AT_ONCE, which, jobs=3) == kept.bundle(which)


@pytest.mark.parametrize("person", ["root", "nobody"], indirect=True)
@pytest.mark.parametrize("thing", OTHERS)
def test_a_machine_where_one_thing_is_other_gives_the_same_bytes(person: Person, kept: Kept, thing: str) -> None:
    machine = OTHERS[thing]
    command, want = machine.seen
    assert want in person.run(machine, ["sh", "-c", command]).stdout
    here = subprocess.run(["sh", "-c", command], capture_output=True, text=True, cwd="/", umask=0o022).stdout
    assert want not in here
    assert person.build(machine, "c", jobs=2) == kept.bundle("c")
