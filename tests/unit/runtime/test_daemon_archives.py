from hypothesis import given
from hypothesis import strategies as st

from bundles.digest import Digest
from runtime.daemon.archives import (
    PIN_LABELS,
    Expected,
    Present,
    Problem,
    Stamp,
    StoredImage,
    extra_names,
    missing_images,
    plan_pins,
    sort_files,
)

A, B = Digest("a" * 64), Digest("b" * 64)
PAUSE = "docker.io/rancher/mirrored-pause:3.10.1"


def expected(name: str = "core.tar", *, size: int = 10, only_runtime: bool = False) -> Expected:
    return Expected(name=name, size=size, sha256=A, images={PAUSE: (B,)}, only_runtime=only_runtime)


def present(name: str = "core.tar", *, size: int = 10, mtime: int = 5, inode: int = 7) -> Present:
    return Present(name=name, size=size, mtime=mtime, inode=inode)


def stamp(**change: object) -> Stamp:
    fields = {"name": "core.tar", "size": 10, "mtime": 5, "inode": 7, "sha256": A, "images": {PAUSE: B}}
    return Stamp(**{**fields, **change})  # type: ignore[arg-type]


def test_admitted_archives_are_checked_and_everything_else_is_named() -> None:
    found = sort_files(
        [present(), present("mine.tar.gz")], [expected(), expected("gone.tar")], [], allow_unlisted=False
    )
    assert [a.name for a in found.check] == ["core.tar"]
    assert found.refused == (
        Problem(name="gone.tar", why="missing, although the admitted bundle lists it"),
        Problem(name="mine.tar.gz", why="no admitted bundle lists it"),
    )
    assert not found.unlisted and not found.known


def test_unlisted_archives_are_imported_only_when_allowed() -> None:
    found = sort_files([present("mine.tar")], [], [], allow_unlisted=True)
    assert [file.name for file in found.unlisted] == ["mine.tar"] and not found.refused


def test_an_archive_of_another_size_is_damaged_without_being_read() -> None:
    found = sort_files([present(size=9)], [expected()], [stamp()], allow_unlisted=True)
    assert found.refused == (Problem(name="core.tar", why="damaged: 9 bytes, not 10"),)


def test_the_runtime_image_alone_is_not_imported() -> None:
    found = sort_files([present()], [expected(only_runtime=True)], [], allow_unlisted=False)
    assert found.runtime == ("core.tar",) and not found.check


def test_an_archive_is_known_only_while_nothing_about_it_changed() -> None:
    def known(file: Present, mark: Stamp) -> bool:
        return bool(sort_files([file], [expected()], [mark], allow_unlisted=False).known)

    assert known(present(), stamp())
    assert not known(present(mtime=6), stamp())
    assert not known(present(mtime=4), stamp()), "an older file is another file too"
    assert not known(present(inode=8), stamp())
    assert not known(present(), stamp(sha256=B)), "the same name of another bundle"
    assert not known(present(), stamp(sha256=None)), "imported once as an unlisted one"


def test_an_image_under_another_digest_counts_as_missing() -> None:
    stored = [StoredImage(name=PAUSE, digest=A)]
    assert missing_images({PAUSE: (B,)}, stored) == (PAUSE,)
    assert missing_images({PAUSE: (A, B)}, stored) == ()
    assert missing_images({"docker.io/x/y:1": (A,)}, stored) == ("docker.io/x/y:1",)


def test_images_get_their_names_by_digest_and_below_the_systems_registry() -> None:
    digest_name = f"docker.io/rancher/mirrored-pause@{A}"
    assert extra_names(PAUSE, A) == (digest_name,)
    assert extra_names(PAUSE, A, "registry.test:5000/") == (
        digest_name,
        "registry.test:5000/rancher/mirrored-pause:3.10.1",
        f"registry.test:5000/rancher/mirrored-pause@{A}",
    )
    below = "registry.test:5000/rancher/mirrored-pause:3.10.1"
    assert extra_names(below, A, "registry.test:5000") == (f"registry.test:5000/rancher/mirrored-pause@{A}",)


NAMES = st.lists(st.sampled_from([f"docker.io/rancher/{c}:1" for c in "abcde"]), unique=True)


def applied(stored: dict[str, StoredImage], wanted: set[str], registry: str) -> dict[str, StoredImage]:
    """What containerd has after the plan: labels first, then names with their source's labels, then unpinning."""
    plan, after = plan_pins(wanted, stored.values(), registry), dict(stored)
    for name in plan.pin:
        after[name] = StoredImage(name=name, digest=after[name].digest, labels={**after[name].labels, **PIN_LABELS})
    for source, names in plan.tag:
        for name in names:
            after[name] = StoredImage(name=name, digest=after[source].digest, labels=after[source].labels)
    for name in plan.unpin:
        labels = {key: value for key, value in after[name].labels.items() if key not in PIN_LABELS}
        after[name] = StoredImage(name=name, digest=after[name].digest, labels=labels)
    return after


@given(NAMES, NAMES, NAMES, st.sampled_from(["", "registry.test/path"]))
def test_after_the_plan_exactly_the_wanted_images_are_pinned_and_a_second_plan_is_empty(
    have: list[str], pinned: list[str], wanted: list[str], registry: str
) -> None:
    stored = {name: StoredImage(name=name, digest=A, labels=PIN_LABELS if name in pinned else {}) for name in have}
    after = applied(stored, set(wanted), registry)
    names = {name for w in set(wanted) & set(have) for name in (w, *extra_names(w, A, registry))}
    assert {name for name, image in after.items() if image.pinned} == names
    again = plan_pins(wanted, after.values(), registry)
    assert not (again.pin or again.unpin or again.tag)
