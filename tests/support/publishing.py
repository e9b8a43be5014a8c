"""What upstream publishes, for tests: a release archive, a source archive, and a recipe that takes them."""

import gzip
import io
import os
import zipfile
from pathlib import Path

from builder.build import BuildOptions, Built, build
from builder.lock.model import Lock
from builder.lock.text import read_lock
from builder.process import Cancel
from builder.progress import SilentTalk
from builder.recipe.read import LOCK, read_recipe
from builder.resolve import ResolveOptions, resolve, write
from builder.store import Store
from bundles.extraction.extract import extract_image
from bundles.foreign.find import find_image
from tests.support.releases import AMD64, program
from tests.support.tars import folder, member, symlink, tar

BUNDLE = """\
sealift: 1
name: taken
version: v1.0.0
sequence: 1
platforms: [linux/amd64]
archives:
  rke2-runtime: [rke2-runtime]
"""
TOOL = program(b"the tool")
MIT = b"""Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def release_tar() -> bytes:
    """`tool-v1.2.3/bin/tool` and what comes with it."""
    return tar(
        folder("tool-v1.2.3"),
        member("tool-v1.2.3/LICENSE", MIT),
        member("tool-v1.2.3/bin/tool", TOOL, mode=0o755),
        symlink("tool-v1.2.3/bin/t", "tool"),
        member("tool-v1.2.3/etc/tool.conf", b"a = 1\n"),
    )


def release_zip() -> bytes:
    """The same program, as a zip without modes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in (("win/tool", TOOL), ("README", b"read me")):
            info = zipfile.ZipInfo(name)
            info.create_system = 0
            archive.writestr(info, data)
    return buffer.getvalue()


def packed(data: bytes) -> bytes:
    """gzip, the same every time."""
    return gzip.compress(data, 6, mtime=0)


def taken_recipe(folder: Path, components: str, layers: str, *, bundle: str = BUNDLE, more: str = "") -> Path:
    """Writes a recipe with these components in its runtime image; `more` are further images."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "bundle.yaml").write_text(bundle)
    (folder / "components.yaml").write_text(components)
    (folder / "images.yaml").write_text(f"rke2-runtime:\n  name: rancher/rke2-runtime\n  layers:\n{layers}{more}")
    return folder


def lock_recipe(folder: Path, store: Path, *, same: bool = True, refresh: bool = False) -> Lock:
    """`sealift lock`."""
    old = read_lock(folder) if (folder / LOCK).exists() else None
    options = ResolveOptions(
        store=Store(store), host=AMD64, env=dict(os.environ), now=1_771_545_600, same_version=same, refresh=refresh,
        cancel=Cancel(),
    )  # fmt: skip
    made = resolve(read_recipe(folder), old, options)
    write(made, folder)
    return made.lock


def build_recipe(folder: Path, output: Path, store: Path, *, offline: bool = False, jobs: int = 2) -> Built:
    """`sealift build`."""
    options = BuildOptions(
        output=output, store=Store(store), talk=SilentTalk(), host=AMD64, env=os.environ, jobs=jobs, offline=offline
    )
    return build(folder, options)


def runtime_files(bundle: Path, folder: Path) -> dict[str, tuple[bytes, int]]:
    """The files of the runtime image below /bin, /share and /charts: path -> content, mode."""
    tops = ("bin", "share", "charts")
    folder.mkdir(parents=True)
    with find_image(bundle / "images", None, platform=AMD64, scratch=folder) as found:
        report = extract_image(found, {f"/{top}": folder / top for top in tops})
    return {file.path: ((folder / file.path.lstrip("/")).read_bytes(), file.mode) for file in report.files}
