"""What others do with the mirror job: crane into a tarball, regsync into a layout and a tar; both keep a cache."""

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
