"""A whole build that would leave an image behind: it ends before anything is delivered, and names who would miss it."""

import re
import shutil
from pathlib import Path

import pytest

from tests.support.node import sealift

pytestmark = pytest.mark.real
RECIPE = Path(__file__).resolve().parents[2] / "recipes/rke2-v1.34"
IMAGE = "rancher/hardened-k8s-metrics-server:v0.8.0-build20260211"


def test_a_bundle_without_an_image_that_a_chart_asks_for_is_not_built(rke2_bundle: Path, tmp_path: Path) -> None:
    recipe, output = tmp_path / "recipe", tmp_path / "out"
    shutil.copytree(RECIPE, recipe)
    locked = (recipe / "lock.yaml").read_text()
    images = (recipe / "images.yaml").read_text()
    assert IMAGE in images
    (recipe / "images.yaml").write_text(images.replace(IMAGE, f"{IMAGE}-other"))
    sealift("lock", recipe, "--same-version")
    # Files keep their time: all that is built already counts, and the test is about the end of a build.
    (epoch,) = re.findall(r"(?m)^epoch: .*$", locked)
    (recipe / "lock.yaml").write_text(re.sub(r"(?m)^epoch: .*$", epoch, (recipe / "lock.yaml").read_text()))
    done = sealift("build", recipe, "--output", output, "--offline", "--progress", "none", check=False)
    assert done.returncode == 2, done.stderr
    asker = "chart metrics-server (Deployment rke2-metrics-server)"
    assert f"docker.io/{IMAGE} is in no archive; {asker} asks for it" in done.stderr
    assert f"docker.io/{IMAGE}-other in rke2-images-core: nobody asks for it" in done.stderr
    assert not output.exists() or not list(output.iterdir())
