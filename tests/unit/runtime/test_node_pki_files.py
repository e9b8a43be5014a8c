import os
import shutil
import stat
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from bundles.errors import SealiftError
from runtime.nodeconf.model import NodeConfig
from tests.support.nodes import NOW, FewKeys, node_config
from tests.support.nodes import ensure_pki as ensure

CHAINS = {
    "client-ca": [
        "client-admin",
        "client-supervisor",
        "client-controller",
        "client-scheduler",
        "client-kube-apiserver",
    ],
    "server-ca": [
        "serving-kube-apiserver",
        "serving-supervisor",
        "kube-scheduler/kube-scheduler",
        "kube-controller-manager/kube-controller-manager",
    ],
    "request-header-ca": ["client-auth-proxy"],
    "etcd/server-ca": ["etcd/server-client", "etcd/client"],
    "etcd/peer-ca": ["etcd/peer-server-client"],
}


class Crash(Exception):
    pass


class CrashingAfter(FewKeys):
    """Dies at the Nth use of randomness: between any key and its certificate."""

    def __init__(self, uses: int) -> None:
        self.left = uses

    def _use(self) -> None:
        if self.left == 0:
            raise Crash
        self.left -= 1

    def octets(self, count: int) -> bytes:
        self._use()
        return super().octets(count)

    def signing_key(self) -> ec.EllipticCurvePrivateKey:
        self._use()
        return super().signing_key()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def read(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


@pytest.fixture
def node(tmp_path: Path) -> NodeConfig:
    return node_config(tmp_path, ("tls-san", "api.example.org,198.51.100.7"))


def test_a_server_has_the_files_that_rke2_has(node: NodeConfig) -> None:
    ensure(node)
    wanted = {f"{path}.{end}" for ca, leaves in CHAINS.items() for path in (ca, *leaves) for end in ("crt", "key")}
    wanted |= {"client-ca.nochain.crt", "server-ca.nochain.crt", "service.key", "service.current.key"}
    assert set(contents(node.paths.tls)) == wanted
    agent = {
        f"{name}.{end}" for name in ("serving-kubelet", "client-kubelet", "client-kube-proxy") for end in ("crt", "key")
    }
    assert set(contents(node.paths.agent)) == agent | {"client-ca.crt", "server-ca.crt"}
    assert (node.paths.tls / "temporary-certs").is_dir()


@pytest.mark.parametrize("umask", [0o077, 0o000])
def test_keys_are_read_by_nobody_else(node: NodeConfig, umask: int) -> None:
    node.paths.agent.mkdir(parents=True, mode=0o755)  # as `stage` leaves it
    before = os.umask(umask)
    try:
        ensure(node)
    finally:
        os.umask(before)
    for folder in (node.paths.server, node.paths.agent):
        for path in (folder, *folder.rglob("*")):
            mode = stat.S_IMODE(path.stat().st_mode)
            assert mode == (0o700 if path.is_dir() else 0o600 if path.suffix == ".key" else 0o644), path


def test_permissions_that_were_loosened_are_taken_away_again(node: NodeConfig) -> None:
    ensure(node)
    for path in (node.paths.tls, node.paths.tls / "client-ca.key", node.paths.tls / "service.key"):
        path.chmod(0o777)
    ensure(node)
    assert stat.S_IMODE(node.paths.tls.stat().st_mode) == 0o700
    assert stat.S_IMODE((node.paths.tls / "client-ca.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((node.paths.tls / "service.key").stat().st_mode) == 0o600


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl")
def test_openssl_verifies_every_chain_for_its_purpose(node: NodeConfig) -> None:
    ensure(node)
    tls, agent = node.paths.tls, node.paths.agent
    checks = [(tls / f"{ca}.crt", tls / f"{leaf}.crt") for ca, leaves in CHAINS.items() for leaf in leaves]
    checks += [(agent / "server-ca.crt", agent / "serving-kubelet.crt")]
    checks += [(agent / "client-ca.crt", agent / f"{leaf}.crt") for leaf in ("client-kubelet", "client-kube-proxy")]
    for authority, leaf in checks:
        usage = set(read(leaf).extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
        server, client = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
        for purpose in [name for oid, name in ((server, "sslserver"), (client, "sslclient")) if oid in usage]:
            options = ["-x509_strict", "-purpose", purpose, "-attime", str(int(NOW.timestamp()))]
            command = ["openssl", "verify", "-CAfile", str(authority), *options, str(leaf)]
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 0, f"{leaf}: {done.stdout}{done.stderr}"
    other = ["openssl", "verify", "-CAfile", str(tls / "client-ca.crt"), str(tls / "serving-kube-apiserver.crt")]
    assert subprocess.run(other, capture_output=True).returncode != 0


def test_subjects_are_those_that_kubernetes_knows(node: NodeConfig) -> None:
    ensure(node)
    tls, agent = node.paths.tls, node.paths.agent
    subjects = {
        tls / "client-ca": f"CN=rke2-client-ca@{int(NOW.timestamp())}",
        tls / "etcd/peer-ca": f"CN=etcd-peer-ca@{int(NOW.timestamp())}",
        tls / "client-admin": "CN=system:admin,O=system:masters",
        tls / "client-controller": "CN=system:kube-controller-manager",
        tls / "client-scheduler": "CN=system:kube-scheduler",
        tls / "client-kube-apiserver": "CN=system:apiserver,O=system:masters",
        tls / "client-auth-proxy": "CN=system:auth-proxy",
        agent / "client-kubelet": "CN=system:node:n1,O=system:nodes",
        agent / "client-kube-proxy": "CN=system:kube-proxy",
    }
    for stem, subject in subjects.items():
        assert read(Path(f"{stem}.crt")).subject.rfc4514_string() == subject


def test_the_apiserver_answers_to_all_its_names(node: NodeConfig) -> None:
    ensure(node)
    certificate = read(node.paths.tls / "serving-kube-apiserver.crt")
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) == {
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
        "n1",
        "api.example.org",
    }
    addresses = {str(address) for address in names.get_values_for_type(x509.IPAddress)}
    assert addresses == {"127.0.0.1", "::1", "192.0.2.11", "10.43.0.1", "198.51.100.7"}


def test_a_restart_changes_nothing(node: NodeConfig) -> None:
    assert ensure(node).made
    before = contents(node.paths.data)
    stamps = {path: path.stat().st_mtime_ns for path in node.paths.data.rglob("*")}
    again = ensure(node, NOW + timedelta(days=200))
    assert (again.made, again.renewed, again.warnings) == ([], [], [])
    assert contents(node.paths.data) == before
    assert {path: path.stat().st_mtime_ns for path in node.paths.data.rglob("*")} == stamps


def test_what_ends_soon_is_renewed_with_its_own_key(node: NodeConfig) -> None:
    ensure(node)
    before = contents(node.paths.data)
    later = NOW + timedelta(days=250)
    outcome = ensure(node, later)
    assert len(outcome.renewed) == 16 and not outcome.made
    after = contents(node.paths.data)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {str(path.relative_to(node.paths.data)) for path, _ in outcome.renewed}
    assert not [name for name in changed if name.endswith(".key") or "-ca." in name]
    assert read(node.paths.tls / "client-admin.crt").not_valid_after_utc == later + timedelta(days=365)


def test_a_new_name_in_the_configuration_renews_what_servers_serve_with(tmp_path: Path, node: NodeConfig) -> None:
    ensure(node)
    san = ("tls-san", "api.example.org,198.51.100.7,second.example.org")
    outcome = ensure(node_config(tmp_path, san))
    names = ("serving-kube-apiserver.crt", "serving-supervisor.crt")
    assert outcome.renewed == [(node.paths.tls / name, "it lacks second.example.org") for name in names]
    assert ensure(node_config(tmp_path)).renewed == []


def test_nothing_outlives_its_authority_and_the_end_is_told_in_time(node: NodeConfig) -> None:
    ensure(node)
    near = NOW + timedelta(days=3600)
    outcome = ensure(node, near)
    assert len(outcome.warnings) == 5
    authority = read(node.paths.tls / "client-ca.crt")
    assert read(node.paths.tls / "client-admin.crt").not_valid_after_utc == authority.not_valid_after_utc
    assert ensure(node, near + timedelta(days=1)).renewed == []
    with pytest.raises(SealiftError, match="this authority has ended"):
        ensure(node, NOW + timedelta(days=3651))


def test_a_clock_that_is_wrong_is_named(node: NodeConfig) -> None:
    ensure(node)
    with pytest.raises(SealiftError, match="the clock is before this authority's beginning"):
        ensure(node, NOW - timedelta(days=365))


@pytest.mark.parametrize("missing", ["server-ca.key", "server-ca.crt", "etcd/peer-ca.key"])
def test_an_authority_is_never_replaced(node: NodeConfig, missing: str) -> None:
    ensure(node)
    (node.paths.tls / missing).unlink()
    before = contents(node.paths.data)
    with pytest.raises(SealiftError, match="authority that has signed is missing"):
        ensure(node)
    assert contents(node.paths.data) == before


def test_the_key_of_another_authority_is_refused(node: NodeConfig) -> None:
    ensure(node)
    shutil.copy(node.paths.tls / "client-ca.key", node.paths.tls / "server-ca.key")
    with pytest.raises(SealiftError, match=r"server-ca\.key: not the key of this authority"):
        ensure(node)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda tls: (tls / "client-admin.key").unlink(), "its key is another one"),
        (lambda tls: shutil.copy(tls / "client-scheduler.crt", tls / "client-admin.crt"), "its key is another one"),
    ],
)
def test_a_pair_that_does_not_match_is_made_anew(node: NodeConfig, damage: Callable[[Path], object], told: str) -> None:
    ensure(node)
    damage(node.paths.tls)
    assert ensure(node).renewed == [(node.paths.tls / "client-admin.crt", told)]
    assert ensure(node).renewed == []


def test_damage_is_named(node: NodeConfig) -> None:
    ensure(node)
    (node.paths.tls / "client-admin.crt").write_text("-----BEGIN CERT")
    with pytest.raises(SealiftError, match=r"client-admin\.crt: not a certificate"):
        ensure(node)


def test_old_keys_of_tokens_stay_known_and_only_the_first_signs(node: NodeConfig) -> None:
    ensure(node)
    tls = node.paths.tls
    first = (tls / "service.key").read_bytes()
    (tls / "service.key").write_bytes((tls / "client-admin.key").read_bytes() + first)
    ensure(node)
    assert (tls / "service.current.key").read_bytes() == (tls / "client-admin.key").read_bytes()
    assert (tls / "service.key").read_bytes().endswith(first)


def test_a_crash_at_any_point_is_completed_by_the_next_start(tmp_path: Path) -> None:
    complete = node_config(tmp_path / "complete")
    ensure(complete)
    for uses in range(0, 40, 5):
        node = node_config(tmp_path / str(uses))
        try:
            ensure(node, entropy=CrashingAfter(uses))
        except Crash:
            assert ensure(node, NOW + timedelta(seconds=1)).renewed == []
        assert set(contents(node.paths.data)) == set(contents(complete.paths.data))
        assert ensure(node).made == []
