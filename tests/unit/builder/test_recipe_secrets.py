"""A password in an address of a recipe is refused and not repeated; nothing signed gets into a lock."""

import json
from pathlib import Path

import pytest

from builder.cli import run
from tests.support.chartserving import chart_tgz
from tests.support.fileserver import file_server
from tests.support.published import taking_recipe

SECRET = "s3cr3tS3cr3t"


@pytest.mark.parametrize(
    ("file", "entry"),
    [
        ("components.yaml", "notes: {{url: 'https://user:{}@example.invalid/x'}}"),
        ("components.yaml", "notes: {{url: 'https://example.invalid/x?sig={}'}}"),
        ("components.yaml", "notes: {{url: 'https://example.invalid/x', sums: 'https://u:{}@example.invalid/S'}}"),
        ("components.yaml", "notes: {{url: 'https://example.invalid/x', sums: 'https://b.invalid/S?token={}'}}"),
        ("components.yaml", "notes: {{image: 'user:{}@registry.invalid/x:v1', files: [/x]}}"),
        ("components.yaml", "notes: {{compile: 'url:https://u:{}@b.invalid/x.tgz', run: [make], output: [x]}}"),
        ("images.yaml", "app: {{mirror: 'user:{}@registry.invalid/x:v1'}}"),
        ("charts.yaml", "one: {{tgz: 'https://u:{}@b.invalid/one-1.0.0.tgz'}}"),
        ("charts.yaml", "one: {{tgz: 'https://b.invalid/one-1.0.0.tgz?X-Amz-Signature={}'}}"),
        ("charts.yaml", "one: {{repo: 'https://u:{}@b.invalid', version: 1.0.0}}"),
        ("charts.yaml", "one: {{oci: 'u:{}@registry.invalid/charts/one:1.0.0'}}"),
    ],
)
def test_a_credential_in_a_recipe_is_refused_and_not_repeated(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str, entry: str
) -> None:
    recipe = taking_recipe(tmp_path / "recipe", {"app": "mirror: registry.invalid/app:v1"})
    path = recipe / file
    path.write_text((path.read_text() if path.exists() else "") + entry.format(SECRET) + "\n")
    assert run(["lock", str(recipe), "--store", str(tmp_path / "store"), "--json", "--debug"]) == 2
    said = capsys.readouterr()
    assert SECRET not in said.out + said.err
    assert f"{file}:" in said.err
    assert not (recipe / "lock.yaml").exists()


def test_an_address_of_an_index_that_is_signed_gets_into_no_lock(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with file_server({"/one-1.0.0.tgz": chart_tgz("one", "1.0.0")}) as server:
        entry = {"name": "one", "version": "1.0.0", "urls": [server.url(f"/one-1.0.0.tgz?X-Amz-Signature={SECRET}")]}
        server.files["/index.yaml"] = json.dumps({"apiVersion": "v1", "entries": {"one": [entry]}}).encode()
        recipe = taking_recipe(tmp_path / "recipe", {})
        bundle = (recipe / "bundle.yaml").read_text()
        (recipe / "bundle.yaml").write_text(bundle.replace("  images: []\n", ""))
        (recipe / "charts.yaml").write_text(f"one: {{repo: '{server.url('')}', version: 1.0.0}}\n")
        assert run(["lock", str(recipe), "--store", str(tmp_path / "store"), "--debug"]) == 1
    said = capsys.readouterr()
    assert "X-Amz-Signature= in its query" in said.err and SECRET not in said.out + said.err
    assert not (recipe / "lock.yaml").exists()
