"""The readers, each as its command calls it, with the folders of an attack."""

import tempfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from builder.facts.elf import elf_facts
from builder.lock.fresh import check_fresh
from builder.lock.text import read_lock
from builder.recipe.chartfile import read_chart_file
from builder.recipe.read import read_recipe
from builder.sources.modhash import folder_hash
from builder.steps.debfile import DebFile
from builder.steps.url import take, unpack
from builder.tree import folder_digest
from bundles import diff, inspect
from bundles.errors import FormatError
from bundles.pack import pack
from bundles.sealed.verify import verify_archive
from bundles.trust import require
from bundles.verify import verify_bundle
from runtime import admitted
from runtime.choice import choose, configured_image
from runtime.daemon.addons import injected, objects_in
from runtime.nodeconf.model import NodeConfig
from runtime.nodeconf.parse import parse
from runtime.nodeconf.read import read_settings
from tests.hostile.corpus_model import Place
from tests.support.nodedirs import TestNode
from tests.support.nodes import MACHINE, node_paths
from tests.support.releases import AMD64

RUNTIME = "docker.io/rancher/rke2-runtime:v1.34.4-rke2r1"
INSECURE = require(insecure=True)


def extract(place: Place) -> None:
    """`sealift-node extract` of what lies in agent/images."""
    node = TestNode(place.given)
    node.extract(runtime_image=RUNTIME)


def archive_files(place: Place) -> None:
    """A file of an archive from a URL; what was written before an error goes with the step's folder."""
    path = only(place.sent)
    with tempfile.TemporaryDirectory(dir=place.given) as folder:
        take(path, path.name, {"tool": PurePosixPath("bin/tool")}, Path(folder))


def archive_folder(place: Place) -> None:
    """Sources from a URL."""
    path = only(place.sent)
    with tempfile.TemporaryDirectory(dir=place.given) as folder:
        unpack(path, path.name, Path(folder) / "source")


def extract_any(place: Place) -> None:
    """`sealift-node extract` without a name: the only runtime image there is."""
    TestNode(place.given).extract()


def stage(place: Place) -> None:
    """`sealift-node stage` of the one thing that was sent."""
    TestNode(place.given).stage(only(place.sent))


def verify(place: Place) -> None:
    """`sealift verify` of a bundle, without a node's platform."""
    verify_bundle(only(place.sent), INSECURE)


def archive(place: Place) -> None:
    """`sealift verify FILE.tar`, everything."""
    verify_archive(only(place.sent), platform=AMD64)


def archive_quick(place: Place) -> None:
    """`sealift verify --quick FILE.tar`."""
    verify_archive(only(place.sent), quick=True)


def inspected(place: Place) -> None:
    """`sealift inspect`."""
    inspect.render(inspect.inspect(only(place.sent)))


def compared(place: Place) -> None:
    """`sealift diff` of a bundle with itself."""
    diff.diff(only(place.sent), only(place.sent))


def packed(place: Place) -> None:
    """`sealift pack`."""
    pack(only(place.sent), place.given / "b.sealift")


def recipe(place: Place) -> None:
    """What every command of the builder does first."""
    read_recipe(place.sent)


def lock(place: Place) -> None:
    """What `sealift build` does first: recipe, lock, and whether they belong together."""
    found = read_recipe(place.sent)
    check_fresh(found, read_lock(place.sent))


def chart_file(place: Place) -> None:
    read_chart_file(place.sent)


def source_folder(place: Place) -> None:
    folder_digest(place.sent)


def go_module(place: Place) -> None:
    folder_hash(place.sent, "example.test/m@v1.0.0")


def deb(place: Place) -> None:
    """`deb` and `userland` components: the list, a file, the control record."""
    package = DebFile(only(place.sent).read_bytes(), where="attack.deb")
    package.file("bin/tool")
    package.control()


def program(place: Place) -> None:
    """ELF facts: None is this reader's refusal."""
    if elf_facts(only(place.sent).read_bytes()) is None:
        raise FormatError("no ELF program", where="attack")


def reference(text: str) -> Callable[[Place], None]:
    """`--runtime-image`."""

    def read(place: Place) -> None:
        choose(flag=text, configured=None, admitted=None)

    return read


def node_config(place: Place) -> NodeConfig:
    """`sealift-node server --config`."""
    settings = read_settings(only(place.sent), required=True)
    return parse(settings, role="server", paths=node_paths(place.given), machine=MACHINE, where="attack").config


def configured(place: Place) -> None:
    """`sealift-node extract --config`."""
    configured_image(only(place.sent))


def admitted_record(place: Place) -> None:
    """Every command of the node."""
    admitted.read(only(place.sent))


def manifest(place: Place) -> None:
    """The deploy controller's two looks at a file of server/manifests."""
    text = only(place.sent).read_bytes()
    objects_in(text, "attack.yaml")
    injected(text, {"global.clusterDNS": "10.43.0.10"}, "attack.yaml", by_default=True)


def only(folder: Path) -> Path:
    """The one thing in a folder."""
    (found,) = folder.iterdir()
    return found
