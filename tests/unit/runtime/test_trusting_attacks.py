"""Attacks on a node's gate from beside it: two commands at once, an inbox of somebody else's, ways around a policy."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bundles.errors import SealiftError, TrustError
from bundles.platform import Platform
from bundles.talk import SilentProgress
from runtime import admitted
from runtime.admission import admit
from runtime.stage import stage
from runtime.trusting import audit, memory, policies
from runtime.trusting.gate import Asked, Gate, open_gate
from runtime.trusting.places import TrustPlaces
from runtime.trusting.standing import check_standing, guard
from tests.support import policies as keys
from tests.support.kills import every_kill
from tests.support.trusting import NOW, Run, Site, bundle, modern, public, site, write_policy

__all__ = ["site"]
AMD64 = Platform.parse("linux/amd64")


def late(site: Site, asked: Asked) -> Gate:
    """The gate of a command that has begun, and waits for the node's lock."""
    return open_gate(site.layout, asked, event="stage", now=NOW, say=site.said.append)


def go_on(gate: Gate, site: Site, made: Path) -> None:
    stage(
        made,
        site.layout,
        gate.trust,
        platform=AMD64,
        now=NOW,
        progress=SilentProgress(),
        say=site.said.append,
        gate=gate,
    )


def test_a_replay_that_waited_for_the_lock_sees_what_was_staged_meanwhile(site: Site) -> None:
    """It began when nothing newer was known; what it remembers must neither let it in nor be written back."""
    key = public(site.root, "release")
    old = bundle(site.root / "old", "release", version="v1.34.3-rke2r1", sequence=1)
    new = bundle(site.root / "new", "release", sequence=7)
    waiting = late(site, Asked(key=key))
    assert site.run("stage", new, "--key", key)[0] == 0
    with pytest.raises(TrustError, match="older bundle than this node has had"):
        go_on(waiting, site, old)
    assert list(site.memory.sequences.values()) == [7]


def test_a_stage_that_waited_for_the_lock_goes_by_the_policy_that_came_into_force_meanwhile(site: Site) -> None:
    key = public(site.root, "stranger")
    waiting = late(site, Asked(key=key))
    assert site.run("policy", "update", write_policy(site.root / "p"))[0] == 0
    with pytest.raises(TrustError, match="another policy came into force"):
        go_on(waiting, site, bundle(site.root / "a", "stranger"))
    assert admitted.read(site.layout.admitted) is None


def test_a_policy_is_in_the_log_before_it_is_in_force_whenever_the_machine_dies(site: Site) -> None:
    path = write_policy(site.root / "p")

    def again() -> Callable[[], object]:
        shutil.rmtree(site.layout.data, ignore_errors=True)
        return lambda: site.run("policy", "update", path)

    kills = 0
    for _ in every_kill(again):
        kills += 1
        places = TrustPlaces.of(site.layout)
        if policies.installed(places) is not None:
            assert [(one.event, one.result) for one in audit.read(places.audit)] == [("policy", "admitted")]
        assert site.run("policy", "update", path)[0] == 0
        assert policies.installed(places) is not None and audit.read(places.audit)
        audit.check(places.audit, site.memory.audit)
    assert kills > 8


def test_a_bundle_is_in_the_log_and_in_memory_before_it_is_admitted_whenever_the_machine_dies(site: Site) -> None:
    """No kill leaves a node that runs the new bundle and would take the old one as new."""
    site.run("policy", "update", write_policy(site.root / "p"))
    old = bundle(site.root / "old", "release", version="v1.34.3-rke2r1", sequence=1)
    new = bundle(site.root / "new", "release", sequence=2)
    assert site.run("stage", old)[0] == 0
    shutil.copytree(site.layout.data, site.root / "saved", symlinks=True)

    def again() -> Callable[[], object]:
        shutil.rmtree(site.layout.data)
        # Hard links are lost in this copy: then stage links again, which is one more change to be killed at.
        shutil.copytree(site.root / "saved", site.layout.data, symlinks=True)
        return lambda: site.run("stage", new)

    seen = set()
    for _ in every_kill(again):
        places = TrustPlaces.of(site.layout)
        audit.check(places.audit, site.memory.audit)
        guard(site.layout, now=NOW, say=site.said.append)  # the old bundle or the new one, it comes up again
        record = admitted.read(site.layout.admitted)
        assert record is not None and max(site.memory.sequences.values()) == record.sequence
        logged = {one.details["index"] for one in audit.read(places.audit) if one.event == "stage"}
        assert str(record.index) in logged
        seen.add(record.sequence)
    assert seen == {1, 2}


def test_what_an_interrupted_stage_would_admit_is_asked_about_before_it_runs(site: Site) -> None:
    """The power went in an upgrade, then the upgrade's key was revoked."""
    site.run("policy", "update", write_policy(site.root / "1"))
    made = bundle(site.root / "a", "release")
    assert site.run("stage", made)[0] == 0
    record = admitted.read(site.layout.admitted)
    assert record is not None
    site.layout.admitted.rename(site.layout.admitting)
    revoked = {
        "sequence": 2,
        "keys": keys.pems("builder", "root"),
        "bundles": [{"names": ["*"], "signers": ["builder"]}],
        "revoked": [str(keys.key("release").public.id)],
    }
    assert site.run("policy", "update", write_policy(site.root / "2", **revoked))[0] == 0
    assert site.run("extract")[0] == 3
    assert not site.layout.versions.exists()


def test_an_index_swapped_under_the_record_does_not_start_without_a_policy_either(site: Site) -> None:
    made = bundle(site.root / "a", "release")
    assert site.run("stage", made, "--key", public(site.root, "release"))[0] == 0
    kept = site.layout.bundles / made.name / "bundle.json"
    kept.write_bytes(kept.read_bytes().replace(b'"sequence":1', b'"sequence":9'))
    with pytest.raises(SealiftError, match="not the index that was admitted"):
        check_standing(site.layout, now=NOW, say=site.said.append)


def test_an_image_that_nobody_admitted_is_not_unpacked_while_a_policy_is_in_force(site: Site) -> None:
    site.run("policy", "update", write_policy(site.root / "p"))
    site.run("stage", bundle(site.root / "a", "release"))
    assert site.run("extract")[0] == 0
    other = bundle(site.root / "b", version="v1.34.9-rke2r1")
    shutil.copy(other / "images/rke2-runtime.linux-amd64.tar", site.layout.images / "mine.tar")
    code, _, err = site.run("extract", "--runtime-image", "rancher/rke2-runtime:v1.34.9-rke2r1-classic")
    assert code == 3 and "goes around it" in err


@pytest.mark.parametrize("role", [["server"], ["agent", "--server", "https://127.0.0.1:9345", "--token", "K10x::y"]])
def test_unlisted_images_are_not_let_in_while_a_policy_is_in_force(site: Site, role: list[str]) -> None:
    site.run("policy", "update", write_policy(site.root / "p"))
    code, _, err = site.run(*role, "--allow-unlisted-images")
    assert code == 3 and "--allow-unlisted-images goes around it" in err


def test_a_signature_over_a_bundle_makes_no_policy_and_the_other_way_round(site: Site) -> None:
    """Both are signed as bytes alone: what a document is must never depend on who asks."""
    made = bundle(site.root / "a", "root")
    stolen = site.root / "stolen"
    stolen.mkdir()
    for name in ("bundle.json", "bundle.json.sigstore.json"):
        shutil.copy(made / name, stolen / name.replace("bundle.json", "policy.json", 1))
    code, _, err = site.run("policy", "update", stolen / "policy.json")
    assert code in (1, 2) and "policy" in err
    path = write_policy(site.root / "p", "release")
    for name in ("policy.json", "policy.json.sigstore.json"):
        shutil.copy(path.with_name(name), made / name.replace("policy.json", "bundle.json", 1))
    for other in ("bundle.json.sig",):
        (made / other).unlink()
    assert site.run("stage", made, "--key", public(site.root, "release"))[0] == 1


@pytest.fixture
def inbox(site: Site) -> Path:
    site.run("policy", "update", write_policy(site.root / "p"))
    folder = site.root / "inbox"
    folder.mkdir()
    return folder


def watch(run: Run, inbox: Path) -> tuple[int, dict[str, dict[str, object]]]:
    code, out, _ = run("watch", inbox, "--quiet", "0", "--json")
    return code, {row["name"]: row for row in map(json.loads, out.splitlines())}


def test_a_refused_folder_that_is_a_link_lets_nobody_write_elsewhere(site: Site, inbox: Path) -> None:
    """Whoever may write to the inbox is not who may write to /etc."""
    elsewhere = site.root / "etc"
    elsewhere.mkdir()
    (inbox / "refused").symlink_to(elsewhere)
    (inbox / "cron").write_text("* * * * * root id\n")
    shutil.copytree(good := modern(site.root / "good", "release"), inbox / good.name)
    code, rows = watch(site.run, inbox)
    assert code == 1 and "still there" in str(rows["cron"]["why"])
    assert not any(elsewhere.iterdir())
    assert rows[good.name]["admitted"], "the others get their turn all the same"


def test_a_name_that_is_no_text_or_steers_a_terminal_does_not_stop_the_inbox(site: Site, inbox: Path) -> None:
    for name in (b"a\xff", b"b\x1b[2J", b"c\nadmitted: d"):
        shutil.copytree(modern(site.root / name.hex(), "stranger"), os.fsdecode(os.fsencode(inbox) + b"/" + name))
    code, out, err = site.run("watch", inbox, "--quiet", "0")
    assert code == 3
    assert "\x1b" not in out + err and "\nadmitted: d" not in out
    code, out, _ = site.run("audit")
    assert code == 0 and "\x1b" not in out and out.count("refused") == 3
    assert [path.name for path in inbox.iterdir()] == ["refused"]


def test_an_older_bundle_in_the_inbox_is_a_replay_too(site: Site, inbox: Path) -> None:
    for sequence, version in ((2, "v1.34.4-rke2r1"), (1, "v1.34.3-rke2r1")):
        made = bundle(site.root / version, "release", version=version, flavour="modern", sequence=sequence)
        shutil.copytree(made, inbox / made.name)
        code, rows = watch(site.run, inbox)
    assert code == 3 and "older bundle" in str(rows[made.name]["why"])


def test_a_refusal_does_not_wake_the_inbox_for_ever(site: Site) -> None:
    """A unit that looks for names would find `refused` each time, until systemd gives up."""
    _, out, _ = site.run("watch", "/srv/inbox", "--print-units")
    assert "Glob" not in out and "DirectoryNotEmpty" not in out and "StartLimitIntervalSec=0" in out


@pytest.mark.parametrize("path", ["/srv/in box", "/srv/%h", "/srv/a\nExecStart=/bin/sh"])
def test_units_are_not_written_for_a_path_that_means_something_to_systemd(site: Site, path: str) -> None:
    assert site.run("watch", path, "--print-units")[0] == 2


def test_a_record_that_somebody_else_admits_is_not_the_policys(site: Site) -> None:
    """Whoever writes admitted.json and a whole unsigned bundle beside it still has no signature."""
    from bundles import index
    from bundles.digest import Digest

    site.run("policy", "update", write_policy(site.root / "p"))
    assert site.run("stage", bundle(site.root / "a", "release"))[0] == 0
    evil = bundle(site.root / "b", version="v1.34.9-rke2r1", sequence=9)
    shutil.copytree(evil, site.layout.bundles / evil.name)
    raw = (evil / "bundle.json").read_bytes()
    record = admitted.describe(index.decode(raw), bundle=evil.name, digest=Digest.of(raw))
    admit(record, site.layout, admitted.read(site.layout.admitted))
    assert site.run("extract")[0] == 3


def test_a_memory_removed_is_told_by_the_log(site: Site) -> None:
    """Who deletes what the node remembers leaves a log that is ahead of it: the chain still tells what was there."""
    key = public(site.root, "release")
    assert site.run("stage", bundle(site.root / "a", "release", sequence=5), "--key", key)[0] == 0
    TrustPlaces.of(site.layout).memory.unlink()
    assert memory.read(TrustPlaces.of(site.layout).memory).sequences == {}
    code, out, _ = site.run("audit")
    assert code == 0 and "sequence: 5" in out
