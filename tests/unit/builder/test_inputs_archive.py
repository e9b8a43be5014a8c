"""Input archives: everything a lock names as plain files, the same bytes from any store, believed by nobody."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from builder.fetch import FetchOptions, fetch
from builder.inputs.archive import open_archive
from builder.inputs.gather import gather
from builder.inputs.look import check_archive, plan_line
from builder.inputs.model import Index
from builder.inputs.recipetar import recipe_tar
from builder.inputs.text import format_index, parse_index
from builder.inputs.write import Target, Written, write_inputs
from builder.inputs.ziphash import zip_hash
from builder.lock.model import Lock, LockedFile, LockedInput
from builder.lock.text import format_lock, read_lock
from builder.process import Cancelled
from builder.recipe.model import CompileComponent, DebComponent, Recipe
from builder.resolve import resolve, write
from builder.sources.goclient import module_zip
from builder.sources.gomod import Module
from builder.sources.verified import Verified
from builder.store import Store
from bundles.digest import Digest
from bundles.errors import FormatError, MissingError, SealiftError
from tests.support.golab import APP, TOOLCHAIN, GoLab

PACKAGE = b"not really a package\n"
DEB = "deb:bookworm/tool=1:2.0-1"
SOURCE = CompileComponent(
    name="hello",
    source="go-source:example.test/app@v1.2.0",
    version="v1.2.0",
    run=(),
    output={"hello": PurePosixPath("hello")},
)
PACKAGED = DebComponent(name="tool", package="tool", version="1:2.0-1", files={"tool": PurePosixPath("usr/bin/tool")})


class World(GoLab):
    """A lab whose lock has a Go component, C sources of a module, and a package that only the store has."""

    def __post_init__(self) -> None:
        super().__post_init__()
        made = self.made()
        write(resolve(made, None, self.resolving(1)), self.root / "recipe")
        self.store.put(PACKAGE)
        fetch(made, read_lock(self.root / "recipe"), self.fetching())

    def made(self) -> Recipe:
        return self.recipe({"app": APP, "hello": SOURCE})

    @property
    def whole(self) -> Recipe:
        return self.recipe({"app": APP, "hello": SOURCE, "tool": PACKAGED})

    @property
    def lock(self) -> Lock:
        lock = read_lock(self.root / "recipe")
        file = LockedFile(name="tool_2.0-1_amd64.deb", size=len(PACKAGE), digest=Digest.of(PACKAGE))
        return replace(lock, inputs=(*lock.inputs, LockedInput(component="tool", source=DEB, files=(file,))))

    @property
    def digest(self) -> Digest:
        return Digest.of(format_lock(self.lock).encode())

    def archive(self, folder: Path, *, lock: Lock | None = None, jobs: int = 4) -> Written:
        taken = lock or self.lock
        gathered = gather(self.whole, taken, self.fetching(offline=True))
        tar = recipe_tar([self.root / "recipe"])
        target = Target(folder=folder, verified=Verified(self.store), jobs=jobs)
        return write_inputs(taken.bundle, Digest.of(format_lock(taken).encode()), tar, gathered, target)

    def elsewhere(self, archive: Path, *, offline: bool = True) -> FetchOptions:
        """Another machine: an empty store, and a proxy that serves nothing."""
        options = self.fetching(offline=offline)
        environment = {**options.env, "GOPROXY": "file:///nonexistent"}
        store = Store(self.root / "other")
        return replace(options, store=store, env=environment, inputs=open_archive(archive))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A world and its archive, made once; tests work on copies."""
    root = tmp_path_factory.mktemp("world")
    World(root).archive(root / "archive")
    return root


@pytest.fixture
def world(made: Path, tmp_path: Path) -> World:
    world = World.__new__(World)
    world.root, world.said = made, []
    shutil.rmtree(made / "other", ignore_errors=True)
    return world


@pytest.fixture
def archive(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "archive", tmp_path / "archive", symlinks=True))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def a_zip(archive: Path) -> Path:
    return archive / "go/example.test/lib/alpha/@v/v1.0.0.zip"


def test_a_machine_with_an_empty_store_and_no_network_fetches_all_of_a_lock(world: World, archive: Path) -> None:
    options = world.elsewhere(archive)
    names = fetch(world.whole, world.lock, options)
    assert set(names) == {f"go-toolchain:{TOOLCHAIN}", "app", "go-source:example.test/app@v1.2.0", DEB}
    assert options.store.read(Digest.of(PACKAGE)) == PACKAGE
    assert fetch(world.whole, world.lock, options) == ()


def test_sha256sum_finds_every_file_listed_and_whole(archive: Path) -> None:
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=archive, check=True)
    listed = {line.split("  ", 1)[1] for line in (archive / "SHA256SUMS").read_text().splitlines()}
    assert listed == set(contents(archive)) - {"SHA256SUMS"}


def test_plain_go_builds_from_the_proxy_folder_alone(world: World, archive: Path, tmp_path: Path) -> None:
    module = shutil.copytree(world.root / "recipe/go/app", tmp_path / "module")
    environment = {
        "PATH": world.environment["PATH"], "HOME": str(tmp_path), "GOPROXY": (archive / "go").as_uri(),
        "GOSUMDB": "off", "GOENV": "off", "GOFLAGS": "-mod=mod -modcacherw", "GOTOOLCHAIN": "local",
    }  # fmt: skip
    subprocess.run(["go", "mod", "download"], cwd=module, env=environment, check=True)
    subprocess.run(["go", "list", "-deps", "example.test/app/cmd/app"], cwd=module, env=environment, check=True)


def test_the_same_lock_gives_the_same_bytes_from_another_store(world: World, archive: Path, tmp_path: Path) -> None:
    options = world.elsewhere(archive)
    fetch(world.whole, world.lock, options)
    gathered = gather(world.whole, world.lock, options)
    target = Target(folder=tmp_path / "again", verified=Verified(options.store), jobs=1)
    write_inputs(world.lock.bundle, world.digest, recipe_tar([world.root / "recipe"]), gathered, target)
    assert contents(tmp_path / "again") == contents(archive)


def test_a_second_run_writes_nothing(world: World, archive: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in archive.rglob("*") if path.is_file()}
    done = world.archive(archive)
    assert (done.new_files, done.new_size) == (0, 0) and done.files > 5
    assert {path: path.stat().st_mtime_ns for path in archive.rglob("*") if path.is_file()} == before


def test_two_releases_share_a_folder_and_the_order_does_not_count(world: World, tmp_path: Path) -> None:
    one = replace(world.lock, bundle="lab@v1.0.0")
    two = replace(world.lock, bundle="lab@v1.1.0", inputs=world.lock.inputs[1:], epoch=2)
    for name, locks in (("a", (one, two)), ("b", (two, one))):
        done = [world.archive(tmp_path / name, lock=lock) for lock in locks]
    assert done[-1].new_files > 1  # b's second run brought the first component
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert len(open_archive(tmp_path / "a").index.releases) == 2


@pytest.mark.parametrize("left", ["no index", "half a file", "temporary file"])
def test_an_interrupted_run_is_completed_by_the_same_command(world: World, archive: Path, left: str) -> None:
    whole = contents(archive)
    if left == "no index":
        (archive / "inputs.json").unlink()
        shutil.rmtree(archive / "debian")
    elif left == "half a file":
        a_zip(archive).write_bytes(a_zip(archive).read_bytes()[:100])
    else:
        a_zip(archive).with_name(f".sealift-{a_zip(archive).name}.0123").write_bytes(b"PK")
        a_zip(archive).unlink()
    world.archive(archive)
    assert contents(archive) == whole


def test_the_bytes_of_another_proxy_stay_when_they_are_the_same_module(world: World, archive: Path) -> None:
    import zipfile

    with zipfile.ZipFile(a_zip(archive)) as old:
        files = {entry.filename: old.read(entry) for entry in old.infolist()}
    a_zip(archive).unlink()
    with zipfile.ZipFile(a_zip(archive), "w", zipfile.ZIP_STORED) as new:
        for name in reversed(files):
            new.writestr(name, files[name])
    other = a_zip(archive).read_bytes()
    world.archive(archive)
    assert a_zip(archive).read_bytes() == other
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=archive, check=True)


def test_what_a_carried_index_claims_of_a_module_is_not_believed(world: World, archive: Path) -> None:
    evil = b"evil"
    document = json.loads((archive / "inputs.json").read_bytes())
    whole = a_zip(archive).read_bytes()
    a_zip(archive).write_bytes(evil)
    for each in document["inputs"]:
        for file in each["files"]:
            if file["path"].endswith("alpha/@v/v1.0.0.zip"):
                file |= {"size": len(evil), "sha256": str(Digest.of(evil))}
    rewrite(archive, document)
    with pytest.raises(SealiftError):
        fetch(world.whole, world.lock, world.elsewhere(archive))
    world.archive(archive)
    assert a_zip(archive).read_bytes() == whole


def damage(archive: Path) -> None:
    path = a_zip(archive)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def fifo(archive: Path) -> None:
    a_zip(archive).unlink()
    os.mkfifo(a_zip(archive))


def link(archive: Path) -> None:
    a_zip(archive).rename(archive / "moved")
    a_zip(archive).symlink_to(archive / "moved")


@pytest.mark.parametrize("harm", [damage, fifo, link, lambda archive: a_zip(archive).unlink()])
def test_a_missing_or_damaged_file_is_named_before_anything_is_used(
    world: World, archive: Path, harm: Callable[[Path], None]
) -> None:
    harm(archive)
    options = world.elsewhere(archive)
    with pytest.raises(SealiftError, match=r"alpha/@v/v1\.0\.0\.zip") as caught:
        fetch(world.whole, world.lock, options)
    assert "sealift fetch" in caught.value.hint
    assert not list((options.store.root / "go/mod").rglob("*.zip"))
    with pytest.raises(SealiftError, match=r"alpha/@v/v1\.0\.0\.zip"):
        check_archive(open_archive(archive), world.lock, world.digest)


def test_all_that_is_missing_is_named_at_once(world: World, archive: Path) -> None:
    a_zip(archive).unlink()
    shutil.rmtree(archive / "debian")
    with pytest.raises(MissingError) as caught:
        fetch(world.whole, world.lock, world.elsewhere(archive))
    assert "alpha" in str(caught.value) and "tool_2.0-1" in str(caught.value)


def test_what_an_archive_lacks_comes_from_the_network_when_there_is_one(world: World, archive: Path) -> None:
    (archive / "go/example.test/app/@v/v1.2.0.zip").unlink()
    options = replace(world.elsewhere(archive, offline=False), env=world.environment)
    assert fetch(world.whole, world.lock, options, {"hello"}) == ("go-source:example.test/app@v1.2.0",)


def test_an_archive_of_another_lock_is_told_in_words(world: World, archive: Path) -> None:
    other = replace(world.lock, epoch=7)
    digest = Digest.of(format_lock(other).encode())
    assert "not written for this lock" in plan_line(open_archive(archive), other, digest)
    assert "all there" in plan_line(open_archive(archive), world.lock, world.digest)
    with pytest.raises(MissingError, match="not written for this lock"):
        check_archive(open_archive(archive), other, digest)


def test_other_content_than_locked_is_refused_though_the_archive_is_whole(world: World, archive: Path) -> None:
    wrong = "h1:" + "A" * 43 + "="
    inputs = tuple(replace(each, h1=wrong) if each.component == "hello" else each for each in world.lock.inputs)
    with pytest.raises(FormatError, match="not what is locked"):
        fetch(world.whole, replace(world.lock, inputs=inputs), world.elsewhere(archive), {"hello"})


def test_two_contents_under_one_version_are_never_mixed(world: World, archive: Path) -> None:
    document = json.loads((archive / "inputs.json").read_bytes())
    next(each for each in document["inputs"] if each["source"].startswith("go:"))["h1"] = "h1:" + "A" * 43 + "="
    rewrite(archive, document)
    with pytest.raises(FormatError, match="the archive has another go:"):
        world.archive(archive)


def test_nothing_is_written_through_links_in_a_carried_folder(world: World, archive: Path, tmp_path: Path) -> None:
    shutil.rmtree(archive / "debian")
    (tmp_path / "out").mkdir()
    (archive / "debian").symlink_to(tmp_path / "out")
    with pytest.raises(FormatError, match="something else in the place"):
        world.archive(archive)
    assert not list((tmp_path / "out").iterdir())


def test_a_folder_of_something_else_is_not_filled(world: World, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/letter.txt").touch()
    with pytest.raises(FormatError, match="not an input archive"):
        world.archive(tmp_path / "home")
    with pytest.raises(MissingError, match="not an input archive"):
        open_archive(tmp_path / "home")


def test_a_damaged_zip_in_the_store_does_not_get_into_an_archive(world: World, tmp_path: Path) -> None:
    path = module_zip(world.store, Module(path="example.test/lib/alpha", version="v1.0.0"))
    whole = path.read_bytes()
    try:
        path.chmod(0o644)
        path.write_bytes(whole[:-30])
        with pytest.raises(SealiftError):
            world.archive(tmp_path / "new")
    finally:
        path.write_bytes(whole)
    assert not a_zip(tmp_path / "new").exists() and not (tmp_path / "new/inputs.json").exists()


def test_a_called_off_run_leaves_no_index(world: World, tmp_path: Path) -> None:
    gathered = gather(world.whole, world.lock, world.fetching(offline=True))
    target = Target(folder=tmp_path / "new", verified=Verified(world.store))
    target.cancel.cancel()
    with pytest.raises(Cancelled):
        write_inputs("lab@v1.0.0", world.digest, b"", gathered, target)
    assert not (tmp_path / "new/inputs.json").exists()


def rewrite(archive: Path, document: Any) -> None:
    data = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    (archive / "inputs.json").write_text(data + "\n")


def first(document: Any, begin: str) -> Any:
    return next(each for each in document["inputs"] if each["source"].startswith(begin))


def climb(document: Any) -> None:
    first(document, "deb:")["files"][0]["path"] = "debian/../../etc/passwd"


def absolute(document: Any) -> None:
    first(document, "go:")["files"][1]["path"] = "/etc/passwd"


def another_module(document: Any) -> None:
    first(document, "go:")["files"][1]["path"] = "go/example.test/other/@v/v1.0.0.zip"


def climbing_source(document: Any) -> None:
    each = first(document, "deb:")
    each["source"] = "deb:bookworm/../tool=1"


def twice(document: Any) -> None:
    document["inputs"].append(document["inputs"][-1])


def disorder(document: Any) -> None:
    document["inputs"].reverse()


def dangling(document: Any) -> None:
    document["releases"][0]["inputs"].append("zzz:not there")


def negative(document: Any) -> None:
    first(document, "deb:")["files"][0]["size"] = -1


def huge(document: Any) -> None:
    first(document, "deb:")["files"][0]["size"] = 1 << 60


def unknown_key(document: Any) -> None:
    document["run"] = "rm"


def future(document: Any) -> None:
    document["sealift-inputs"] = 2


def lying_info(document: Any) -> None:
    first(document, "go:")["files"][0]["sha256"] = f"sha256:{'0' * 64}"


def elsewhere_tar(document: Any) -> None:
    document["releases"][0]["recipe"]["path"] = "recipes/other.tar"


def no_hash(document: Any) -> None:
    del first(document, "go-mod:")["h1"]


@pytest.mark.parametrize(
    "attack",
    [climb, absolute, another_module, climbing_source, twice, disorder, dangling, negative, huge, unknown_key, future,
     lying_info, elsewhere_tar, no_hash],
)  # fmt: skip
def test_a_hostile_index_is_refused(archive: Path, attack: Callable[[Any], None]) -> None:
    document = json.loads((archive / "inputs.json").read_bytes())
    attack(document)
    rewrite(archive, document)
    with pytest.raises(FormatError):
        open_archive(archive)


def test_one_path_with_two_contents_is_refused(archive: Path) -> None:
    document = json.loads((archive / "inputs.json").read_bytes())
    entry = json.loads(json.dumps(first(document, "deb:")))
    digest = entry["files"][0]["sha256"]
    blob = {"path": f"blobs/sha256/{digest.removeprefix('sha256:')}", "sha256": digest, "size": 1}
    document["inputs"] += [{"source": f"url:https://a.test/x@{digest}", "files": [blob]}]
    document["inputs"] += [{"source": f"url:https://b.test/x@{digest}", "files": [blob | {"size": 2}]}]
    rewrite(archive, document)
    with pytest.raises(FormatError, match="two contents"):
        open_archive(archive)


def test_an_index_comes_back_as_it_was(archive: Path) -> None:
    data = (archive / "inputs.json").read_bytes()
    assert format_index(parse_index(data)) == data
    assert parse_index(format_index(Index())) == Index()


def test_the_hash_of_a_zip_is_go_s_own(world: World) -> None:
    zips = list((world.store.go_mod / "cache/download").rglob("*.zip"))
    assert len(zips) >= 3
    for path in zips:
        assert zip_hash(path) == path.with_suffix(".ziphash").read_text().strip()


@pytest.mark.parametrize("data", [b"", b"PK\x05\x06" + bytes(18), b"PK\x03\x04" + bytes(200), bytes(1000)])
def test_what_is_no_zip_gives_an_error_and_nothing_else(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    path.write_bytes(data)
    if data[:4] == b"PK\x05\x06":
        assert zip_hash(path).startswith("h1:")  # an empty zip has a hash; nothing is locked to it
        return
    with pytest.raises(FormatError):
        zip_hash(path)


def test_the_recipe_s_tar_unpacks_with_tar_into_what_was_locked(world: World, archive: Path, tmp_path: Path) -> None:
    (path,) = (archive / "recipes").glob("*.tar")
    subprocess.run(["tar", "xf", path, "-C", tmp_path], check=True)
    assert (tmp_path / "recipe/lock.yaml").read_bytes() == (world.root / "recipe/lock.yaml").read_bytes()


def test_the_commands_say_what_to_do(archive: Path, tmp_path: Path) -> None:
    run = [sys.executable, "-c", "from builder.cli import main; main()"]
    told = subprocess.run([*run, "build", "x", "--output", "y", "--inputs", str(tmp_path / "none")],
                          capture_output=True, text=True)  # fmt: skip
    assert told.returncode == 1 and "no such folder" in told.stderr and "fetch --to" in told.stderr
