"""The gate of a node, from the command line: replays, downgrades, swaps and lost clocks, each by name."""

import json
import os
import shutil
from pathlib import Path

import pytest

from builder.signing import sign_bundle
from bundles.errors import SealiftError, TrustError
from bundles.index import BundleIndex
from bundles.talk import SilentProgress
from runtime import admitted, cli
from runtime.layout import NodeLayout
from runtime.trusting import audit, memory
from runtime.trusting.places import TrustPlaces
from runtime.trusting.standing import check_standing
from tests.support import policies
from tests.support.trusting import DAY, NOW, Run, bundle, modern, public, write_policy


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "node" / "rke2"


@pytest.fixture
def run(data: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """`sealift-node ARGUMENTS --data-dir`, in this process -> exit code, stdout, stderr."""

    def go(*arguments: object) -> tuple[int, str, str]:
        code = cli.run([*map(str, arguments), "--data-dir", str(data)])
        out, err = capsys.readouterr()
        return code, out, err

    return go


def results(data: Path) -> list[tuple[str, str]]:
    return [(entry.event, entry.result) for entry in audit.read(TrustPlaces.of(NodeLayout.at(data)).audit)]


def test_a_policy_in_force_decides_without_a_flag(tmp_path: Path, data: Path, run: Run) -> None:
    assert run("policy", "update", write_policy(tmp_path / "p"))[0] == 0
    assert run("stage", bundle(tmp_path / "a", "stranger"))[0] == 3
    assert run("stage", bundle(tmp_path / "b", "release"))[0] == 0
    assert results(data) == [("policy", "admitted"), ("stage", "refused"), ("stage", "admitted")]
    code, out, _ = run("audit", "--json")
    assert code == 0 and [json.loads(line)["number"] for line in out.splitlines()] == [1, 2, 3]
    record = admitted.read(NodeLayout.at(data).admitted)
    assert record is not None and record.decided is not None
    assert record.decided.signers == [policies.key("release").public.id]


@pytest.mark.parametrize("flag", ["--key", "--policy", "--insecure-no-signature"])
def test_a_policy_in_force_is_not_gone_around(tmp_path: Path, run: Run, flag: str) -> None:
    run("policy", "update", write_policy(tmp_path / "p"))
    other = {
        "--key": [public(tmp_path, "stranger")],
        "--policy": [write_policy(tmp_path / "q", bundles=[{"names": ["*"], "signers": ["builder"]}])],
        "--insecure-no-signature": [],
    }[flag]
    code, _, err = run("stage", bundle(tmp_path / "a", "stranger"), flag, *other)
    assert code == 3 and "is in force here" in err


def test_a_replayed_older_bundle_is_refused_and_an_audited_reason_lets_it_in(
    tmp_path: Path, data: Path, run: Run
) -> None:
    key = public(tmp_path, "release")
    old = bundle(tmp_path / "old", "release", version="v1.34.3-rke2r1", sequence=1)
    new = bundle(tmp_path / "new", "release", sequence=2)
    assert run("stage", old, "--key", key)[0] == 0
    assert run("stage", new, "--key", key)[0] == 0
    code, _, err = run("stage", old, "--key", key)
    assert code == 3 and "older bundle than this node has had" in err and "--override" in err
    code, _, err = run("stage", old, "--key", key, "--override", "the new one broke the crane")
    assert code == 0 and "overruled" in err
    last = audit.read(TrustPlaces.of(NodeLayout.at(data)).audit)[-1]
    assert last.result == "overruled" and last.details["override"] == "the new one broke the crane"
    assert run("stage", old, "--key", key)[0] == 0  # the line counts anew from what was insisted on
    assert run("stage", new, "--key", key)[0] == 0


def test_an_override_without_a_reason_is_wrong_usage(tmp_path: Path, run: Run) -> None:
    made = bundle(tmp_path / "a", "release")
    assert run("stage", made, "--key", public(tmp_path, "release"), "--override", " ")[0] == 2


def test_an_override_never_makes_a_signature(tmp_path: Path, run: Run) -> None:
    made = bundle(tmp_path / "a", "stranger")
    assert run("stage", made, "--key", public(tmp_path, "release"), "--override", "I know better")[0] == 3


def test_an_unsigned_bundle_of_a_huge_sequence_locks_nobody_out(tmp_path: Path, run: Run) -> None:
    stranger = bundle(tmp_path / "s", version="v9.9.9", sequence=2**40)
    code, _, err = run("stage", stranger, "--insecure-no-signature")
    assert code == 0 and "could be anybody's" in err
    real = bundle(tmp_path / "r", "release", sequence=1, expires=NOW + DAY)
    assert run("stage", real, "--key", public(tmp_path, "release"))[0] == 0


def test_a_clock_set_back_does_not_bring_an_expired_bundle_back(
    tmp_path: Path, data: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = public(tmp_path, "release")
    assert run("stage", bundle(tmp_path / "a", "release", sequence=1), "--key", key)[0] == 0
    expired = bundle(tmp_path / "b", "release", version="v1.34.5-rke2r1", sequence=2, expires=NOW - DAY)
    assert run("stage", expired, "--key", key)[0] == 3
    monkeypatch.setattr(cli, "_now", lambda: NOW - 3 * DAY)
    code, _, err = run("stage", expired, "--key", key)
    assert code == 3 and "expired" in err
    code, _, err = run("stage", expired, "--key", key, "--override", "no newer one on board")
    assert code == 0
    assert memory.read(TrustPlaces.of(NodeLayout.at(data)).memory).clock == NOW - 3 * DAY


def test_a_refusal_on_a_machine_that_is_no_node_leaves_nothing(tmp_path: Path, data: Path, run: Run) -> None:
    assert run("stage", bundle(tmp_path / "a"), "--key", public(tmp_path, "release"))[0] == 3
    assert not data.exists()


def test_a_cut_log_is_noticed_by_the_next_decision_and_by_audit(tmp_path: Path, data: Path, run: Run) -> None:
    key = public(tmp_path, "release")
    run("stage", bundle(tmp_path / "a", "release", sequence=1), "--key", key)
    run("stage", bundle(tmp_path / "b", "release", version="v1.34.5-rke2r1", sequence=2), "--key", key)
    log = TrustPlaces.of(NodeLayout.at(data)).audit
    log.write_bytes(log.read_bytes().splitlines(keepends=True)[0])
    code, _, err = run("audit")
    assert code == 1 and "cut or replaced" in err
    third = bundle(tmp_path / "c", "release", version="v1.34.6-rke2r1", sequence=3)
    assert run("stage", third, "--key", key)[0] == 1
    log.unlink()
    assert run("stage", third, "--key", key)[0] == 0
    assert "2 lines" in audit.read(log)[0].details["before"]


def test_a_policy_is_replaced_by_its_successor_only(tmp_path: Path, data: Path, run: Run) -> None:
    assert run("policy", "update", write_policy(tmp_path / "1"))[0] == 0
    rotated = {"keys": policies.pems("release", "root2"), "update": {"signers": ["root2"]}, "sequence": 2}
    assert run("policy", "update", write_policy(tmp_path / "2", "root2", **rotated))[0] == 3
    assert run("policy", "update", write_policy(tmp_path / "3", "root", "root2", **rotated))[0] == 0
    code, _, err = run("policy", "update", write_policy(tmp_path / "4", "root"))
    assert code == 3 and "not newer" in err
    code, out, _ = run("policy", "show", "--json")
    assert json.loads(out)["sequence"] == 2 and json.loads(out)["signed_by"] == ["root2"]
    assert results(data) == [("policy", r) for r in ("admitted", "refused", "admitted", "refused")]


def test_an_unsigned_policy_is_not_installed(tmp_path: Path, run: Run) -> None:
    path = write_policy(tmp_path / "p")
    path.with_name("policy.json.sigstore.json").unlink()
    assert run("policy", "update", path)[0] == 3
    assert run("policy", "show")[0] == 1


def test_a_policy_that_somebody_else_wrote_is_refused_at_the_next_look(tmp_path: Path, data: Path, run: Run) -> None:
    run("policy", "update", write_policy(tmp_path / "p"))
    document = TrustPlaces.of(NodeLayout.at(data)).current / "policy.json"
    document.write_bytes(document.read_bytes().replace(b'"rke2-*"', b'"*"'))
    made = bundle(tmp_path / "a", "release")
    assert run("policy", "show")[0] == 3
    assert run("stage", made)[0] == 3
    with pytest.raises(TrustError):
        check_standing(NodeLayout.at(data), now=NOW, say=print) if _stage_quietly(data, made) else None


def _stage_quietly(data: Path, made: Path) -> bool:
    """What an attacker who writes admitted.json would leave."""
    layout = NodeLayout.at(data)
    kept = layout.bundles / made.name
    shutil.copytree(made, kept)
    from bundles import index
    from bundles.digest import Digest

    raw = (kept / "bundle.json").read_bytes()
    layout.admitted.parent.mkdir(parents=True, exist_ok=True)
    admitted.write(
        layout.admitted, admitted.describe(index.decode(raw), bundle=made.name, digest=Digest.of(raw), decided=None)
    )
    return True


def test_a_bundle_whose_key_was_revoked_does_not_start_again(tmp_path: Path, data: Path, run: Run) -> None:
    run("policy", "update", write_policy(tmp_path / "1"))
    assert run("stage", bundle(tmp_path / "a", "release"))[0] == 0
    check_standing(NodeLayout.at(data), now=NOW, say=print)
    after = {
        "sequence": 2,
        "keys": policies.pems("builder", "root"),
        "bundles": [{"names": ["*"], "signers": ["builder"]}],
        "revoked": [str(policies.key("release").public.id)],
    }
    assert run("policy", "update", write_policy(tmp_path / "2", **after))[0] == 0
    with pytest.raises(TrustError, match="signed with a revoked key"):
        check_standing(NodeLayout.at(data), now=NOW, say=print)


def test_an_insecure_bundle_does_not_start_once_a_policy_is_in_force(tmp_path: Path, data: Path, run: Run) -> None:
    assert run("stage", bundle(tmp_path / "a"), "--insecure-no-signature")[0] == 0
    said: list[str] = []
    check_standing(NodeLayout.at(data), now=NOW, say=said.append)
    assert "nobody's signature" in said[0]
    run("policy", "update", write_policy(tmp_path / "1"))
    with pytest.raises(TrustError):
        check_standing(NodeLayout.at(data), now=NOW, say=said.append)


def test_a_bundle_that_expired_meanwhile_starts_with_a_warning(tmp_path: Path, data: Path, run: Run) -> None:
    """A ship at sea comes up again after a power cut."""
    run("policy", "update", write_policy(tmp_path / "1"))
    assert run("stage", bundle(tmp_path / "a", "release", expires=NOW + DAY))[0] == 0
    said: list[str] = []
    check_standing(NodeLayout.at(data), now=NOW + 2 * DAY, say=said.append)
    assert any("expired" in line for line in said)


def test_a_record_turned_back_to_an_older_kept_bundle_does_not_start(tmp_path: Path, data: Path, run: Run) -> None:
    run("policy", "update", write_policy(tmp_path / "1"))
    run("stage", bundle(tmp_path / "a", "release", version="v1.34.3-rke2r1", sequence=1))
    layout = NodeLayout.at(data)
    older = layout.admitted.read_bytes()
    run("stage", bundle(tmp_path / "b", "release", sequence=2))
    layout.admitted.write_bytes(older)
    with pytest.raises(TrustError, match="older bundle"):
        check_standing(layout, now=NOW, say=print)


def test_signatures_that_were_added_later_reach_the_kept_copy(tmp_path: Path, data: Path, run: Run) -> None:
    made = bundle(tmp_path / "a")
    assert run("stage", made, "--insecure-no-signature")[0] == 0
    sign_bundle(made, policies.key("release"), progress=SilentProgress())
    assert run("stage", made, "--key", public(tmp_path, "release"))[0] == 0
    assert (NodeLayout.at(data).bundles / made.name / "bundle.json.sig").exists()


def test_an_inbox_takes_what_holds_and_sets_aside_what_does_not(tmp_path: Path, data: Path, run: Run) -> None:
    run("policy", "update", write_policy(tmp_path / "p"))
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    shutil.copytree(good := modern(tmp_path / "good", "release"), inbox / good.name)
    shutil.copytree(modern(tmp_path / "bad", "stranger"), inbox / "stolen")
    shutil.copytree(bundle(tmp_path / "classic", "release"), inbox / "classic")
    (inbox / "link").symlink_to(good)
    (inbox / "note.txt").write_text("hello")
    code, out, _ = run("watch", inbox, "--quiet", "0", "--json")
    found = {row["name"]: row for row in map(json.loads, out.splitlines())}
    assert code == 3
    assert [name for name, row in found.items() if row["admitted"]] == [good.name]
    assert "not signed" in found["stolen"]["why"] and "not a bundle for RKE2" in found["classic"]["why"]
    assert "a link is not taken" in found["link"]["why"]
    assert sorted(p.name for p in inbox.iterdir()) == ["refused"]
    refused = {path.name for path in (inbox / "refused").iterdir()}
    assert {"stolen", "stolen.WHY", "classic", "classic.WHY", "link", "link.WHY", "note.txt", "note.txt.WHY"} == refused
    assert (inbox / "refused" / "link").is_symlink() and good.is_dir()
    assert any((NodeLayout.at(data).images).iterdir())


def test_an_inbox_waits_for_a_copy_that_is_not_complete(tmp_path: Path, run: Run) -> None:
    run("policy", "update", write_policy(tmp_path / "p"))
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    shutil.copytree(modern(tmp_path / "good", "release"), inbox / "arriving")
    assert run("watch", inbox, "--quiet", "3600")[0] == 75
    assert (inbox / "arriving").is_dir()


def test_an_inbox_without_a_policy_takes_nothing(tmp_path: Path, run: Run) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    shutil.copytree(modern(tmp_path / "good", "release"), inbox / "good")
    assert run("watch", inbox, "--quiet", "0")[0] == 3


def test_an_inbox_that_is_a_link_is_not_used(tmp_path: Path, run: Run) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "inbox").symlink_to(tmp_path / "elsewhere")
    code, _, err = run("watch", tmp_path / "inbox")
    assert code == 1 and "not a folder" in err


def test_units_for_systemd_name_the_inbox(tmp_path: Path, run: Run) -> None:
    code, out, _ = run("watch", "/srv/inbox", "--print-units")
    assert code == 0 and "PathChanged=/srv/inbox" in out and "watch /srv/inbox" in out


def test_an_archive_changed_between_check_and_use_is_not_what_was_admitted(
    tmp_path: Path, data: Path, run: Run
) -> None:
    """The kept copy is what was hashed while it was copied; the source may change as it likes."""
    made = bundle(tmp_path / "a", "release")
    assert run("stage", made, "--key", public(tmp_path, "release"))[0] == 0
    for path in (made / "images").iterdir():
        os.truncate(path, 0)
    layout = NodeLayout.at(data)
    assert all(path.stat().st_size for path in layout.images.iterdir())
    document: BundleIndex | None = None
    from runtime.daemon.actions.images import admitted_index

    document = admitted_index(layout)
    assert document is not None
    kept = layout.bundles / made.name / "bundle.json"
    kept.write_bytes(kept.read_bytes().replace(b'"sequence":1', b'"sequence":9'))
    with pytest.raises(SealiftError, match="not the index that was admitted"):
        admitted_index(layout)
