"""What others do with the mirror job: crane into a tarball, regsync into a layout and a tar, hauler into a haul.

crane and regsync are built from their modules. hauler's module is on no proxy: it is measured where a program of that
name is on the PATH.
"""

import shutil
import sys
from pathlib import Path

from bench import mirrorjob
from bench.mirrorjob import Line
from bench.model import Sample
from bench.timing import Bench
from tests.support.gotools import go_tool

_REGSYNC = "version: 1\ncreds:\n  - registry: {host}\n    tls: disabled\ndefaults:\n  parallel: 8\nsync:\n"
_IMAGE = (
    "  - source: {host}/{name}:v1\n    target: ocidir://{layout}:{tag}\n    type: image\n    platform: linux/amd64\n"
)


def crane(bench: Bench, way: Line, cache: Path) -> Sample:
    """One process for all images; `cache` is where it keeps layers, made when it is missing."""
    program = go_tool("crane", "github.com/google/go-containerregistry/cmd/crane")
    archive = bench.scratch / "crane.tar"
    names = [f"{way.host}/{mirrorjob.name(number)}:v1" for number in range(mirrorjob.IMAGES)]
    sample = bench.run((program, "pull", "--insecure", "--platform", "linux/amd64", "-c", cache, *names, archive))
    archive.unlink()
    return sample


def regsync(bench: Bench, way: Line, layout: Path) -> Sample:
    """One process for all images into `layout`, which it keeps, and one that makes a tarball of that."""
    program = go_tool("regsync", "github.com/regclient/regclient/cmd/regsync")
    settings = bench.scratch / "regsync.yml"
    rows = [
        _IMAGE.format(host=way.host, name=mirrorjob.name(number), layout=layout, tag=f"image-{number:03}-v1")
        for number in range(mirrorjob.IMAGES)
    ]
    settings.write_text(_REGSYNC.format(host=way.host) + "".join(rows))
    archive = bench.scratch / "regsync.tar"
    steps = 'set -e; "$1" once -c "$2" -v error; tar -cf "$4" -C "$3" .'
    sample = bench.run(("sh", "-c", steps, "sh", program, settings, layout, archive))
    archive.unlink()
    return sample


def handmade(bench: Bench, way: Line) -> Sample:
    """`bench/handmade/mirror.py`: the least that any program of our language takes for it."""
    archive = bench.scratch / "handmade.tar"
    sample = bench.run((sys.executable, "-m", "bench.handmade.mirror", way.host, archive), cwd=bench.root)
    archive.unlink()
    return sample


def hauler(bench: Bench, way: Line) -> Sample | None:
    """One process that fills a store and one that makes an archive of it; None where there is no hauler."""
    program = shutil.which("hauler", path=bench.environment.get("PATH"))
    if program is None:
        return None
    folder = bench.scratch / "hauler"
    folder.mkdir()
    images = folder / "images.txt"
    images.write_text("".join(f"{way.host}/{mirrorjob.name(number)}:v1\n" for number in range(mirrorjob.IMAGES)))
    steps = (
        'set -e; "$1" store sync -p linux/amd64 --exclude-extras -i images.txt -s store; '
        '"$1" store save -s store -f haul.tar.zst'
    )
    home = {"HAULER_DIR": str(folder), "HAULER_TEMP_DIR": str(folder)}
    sample = bench.run(("sh", "-c", steps, "sh", program), cwd=folder, env=home)
    shutil.rmtree(folder)
    return sample
