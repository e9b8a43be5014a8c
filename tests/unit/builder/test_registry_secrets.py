"""Credentials for registries are in no log, argument, error, lock or file of ours: all of it is searched."""

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from bundles import oci
from tests.support.bundles import add_documents, make_bundle
from tests.support.fakeregistry import FakeRegistry, Fault, Seen, Tokens, fake_registry
from tests.support.published import layer, taking_recipe

PROGRAMS = Path(sys.executable).parent
USER, PASSWORD = "robot", "s3cr3t-Passw0rd"
NOTHING: Mapping[str, str] = {}
BASIC = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
HELPER = """#!/bin/sh
registry=$(cat)
for file in /proc/[0-9]*/cmdline; do tr '\\0' ' ' < "$file"; echo; done >> {seen} 2>/dev/null
env >> {seen}
printf '{{"ServerURL":"%s","Username":"robot","Secret":"%s"}}' "$registry" "$(cat {secret})"
"""


@dataclass
class Desk:
    """Somebody who works with a registry that wants tokens; all that they see and leave behind is below `root`."""

    root: Path
    registry: FakeRegistry
    said: list[str] = field(default_factory=list)

    @property
    def work(self) -> Path:
        return self.root / "work"

    def run(self, program: str, *words: object, env: Mapping[str, str] = NOTHING, code: int | None = 0) -> str:
        """Runs it with the helper in reach; returns its stdout."""
        done = subprocess.run(
            [PROGRAMS / program, *map(str, words)],
            env={
                "PATH": f"{self.root / 'bin'}:/usr/bin:/bin", "HOME": str(self.work / "home"),
                "SEALIFT_STORE": str(self.work / "store"), **env,
            },
            capture_output=True, text=True, cwd=self.work,
        )  # fmt: skip
        self.said.append(done.stdout + done.stderr)
        assert code is None or done.returncode == code, done.stderr
        return done.stdout.strip()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    for name in ("bin", "work/home", "config"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "secret").write_text(PASSWORD)
    helper = tmp_path / "bin/docker-credential-desk"
    helper.write_text(HELPER.format(seen=tmp_path / "work/processes", secret=tmp_path / "secret"))
    helper.chmod(0o755)
    with fake_registry() as registry:
        registry.tokens = Tokens(basic=f"Basic {BASIC}")
        (tmp_path / "config/config.json").write_text(json.dumps({"credHelpers": {registry.host: "desk"}}))
        (tmp_path / "config/auth.json").write_text(json.dumps({"auths": {registry.host: {"auth": BASIC}}}))
        yield Desk(tmp_path, registry)


def mirrored(registry: FakeRegistry) -> str:
    """An image to mirror."""
    one = layer({"file": os.urandom(2000)}, oci.LAYER_GZIP)
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [one.diff_id]}}
    rows = []
    for kind, data in ((oci.CONFIG, json.dumps(config).encode()), (one.kind, one.data)):
        rows.append({"mediaType": kind, "digest": str(registry.add("up/image", data)), "size": len(data)})
    manifest = {"schemaVersion": 2, "mediaType": oci.MANIFEST, "config": rows[0], "layers": rows[1:]}
    registry.add_manifest("up/image", "v1", manifest)
    return f"{registry.host}/up/image:v1"


def echoing(seen: Seen, number: int) -> Fault | None:
    """A registry that says again what it was sent."""
    if "/token" in seen.path:
        return None
    sent = seen.headers.get("authorization", "nothing")
    return Fault(status=403, body=json.dumps({"errors": [{"code": "DENIED", "message": f"not with {sent}"}]}).encode())


def test_credentials_are_nowhere_but_in_the_files_that_hold_them(desk: Desk) -> None:
    registry, place = desk.registry, f"{desk.registry.host}/site/rke2:v1"
    bundle = make_bundle(desk.work)
    add_documents(bundle)
    docker, podman = (
        {"DOCKER_CONFIG": str(desk.root / "config")},
        {"REGISTRY_AUTH_FILE": str(desk.root / "config/auth.json")},
    )
    desk.run("sealift", "push", bundle, place, "--images", f"{registry.host}/hub", "--json", "--debug", env=docker)
    desk.run("sealift", "pull", place, "--output", "got", "--progress", "json", env=podman)
    recipe = taking_recipe(desk.work / "recipe", {"image": f"mirror: {mirrored(registry)}"})
    desk.run("sealift", "lock", recipe, env=docker)
    desk.run("sealift", "build", recipe, "--output", "out", env=podman)
    on_a_node(desk, bundle, place)
    failures(desk, bundle, place, docker, podman)
    assert registry.tokens is not None and len(registry.tokens.valid) > 5
    assert any(PASSWORD in base64.b64decode(seen.headers.get("authorization", "Basic ").split()[1]).decode("latin-1")
               for seen in registry.seen if seen.headers.get("authorization", "").startswith("Basic "))  # fmt: skip
    found = search(desk, [PASSWORD, BASIC, *registry.tokens.valid])
    assert not found, found
    processes = (desk.work / "processes").read_text()
    assert "sealift push" in processes and "DOCKER_CONFIG" in processes  # the helper did look


def on_a_node(desk: Desk, bundle: Path, place: str) -> None:
    """registries.yaml holds the password; nothing that comes of it does."""
    registries = desk.root / "config/registries.yaml"
    auth = {desk.registry.host: {"auth": {"username": USER, "password": PASSWORD}}}
    registries.write_text(yaml.safe_dump({"configs": auth}))
    words = (
        "--data-dir",
        desk.work / "rke2",
        "--registries",
        registries,
        "--json",
        "--debug",
        "--insecure-no-signature",
    )
    desk.run("sealift-node", "pull", "--from", place, *words)
    image = f"{desk.registry.host}/hub/rancher/rke2-runtime:v1.0.0-gone"
    desk.run("sealift-node", "extract", "--runtime-image", image, *words, code=1)
    registries.write_text(registries.read_text() + f"  x: [{PASSWORD}\n")
    desk.run("sealift-node", "pull", "--from", place, *words, code=1)


def failures(desk: Desk, bundle: Path, place: str, docker: dict[str, str], podman: dict[str, str]) -> None:
    """Every way to fail that has credentials at hand."""
    registry = desk.registry
    shutil.rmtree(desk.work / "got")
    for faults in (echoing, lambda seen, number: Fault(status=400), lambda seen, number: Fault(flip=True)):
        registry.faults = faults
        desk.run("sealift", "pull", place, "--output", "got", "--json", "--debug", env=docker, code=1)
        desk.run("sealift", "push", bundle, place.replace(":v1", ":v2"), "--debug", env=podman, code=1)
    registry.faults = lambda seen, number: None
    registry.tokens = Tokens(basic="Basic other", valid=registry.tokens.valid if registry.tokens else set())
    desk.run("sealift", "pull", place, "--output", "got", "--debug", env=docker, code=1)
    broken = desk.root / "config/broken.json"
    for text in (f'{{"auths": {{"x": {{"auth": "{BASIC}!"}}}}}}', f'{{"auths": "{PASSWORD}"', f'["{PASSWORD}"]'):
        broken.write_text(text)
        desk.run(
            "sealift", "pull", place, "--output", "got", "--debug", env={"REGISTRY_AUTH_FILE": str(broken)}, code=None
        )


def search(desk: Desk, secrets: list[str]) -> list[str]:
    """Where a secret stands, among all that was said and all files below the working folder, names included."""
    found = [f"said: {text[:2000]}" for text in desk.said if any(secret in text for secret in secrets)]
    words = [secret.encode() for secret in secrets]
    for path in desk.work.rglob("*"):
        data = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        if any(word in data or word in os.fsencode(path) for word in words):
            found.append(str(path))
    return found


def test_the_search_finds_what_it_looks_for(desk: Desk) -> None:
    (desk.work / "file").write_text(f"x{PASSWORD}x")
    desk.said.append(f"x{BASIC}")
    assert len(search(desk, [PASSWORD, BASIC])) == 2
