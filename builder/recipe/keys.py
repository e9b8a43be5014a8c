"""The table of all recipe keys: what each takes, what it means, its default.

The parser, `recipes/schema.json` and docs/recipe.md are generated from it; a new key is a new line here and one in
the conversion to values.
"""

from collections.abc import Mapping

from builder.recipe import choices, elsewherekind, mirrorkind, publishedchart, urlkind, words
from builder.recipe.kinds import (
    Anything,
    Choice,
    Field,
    Flag,
    Items,
    ItemsOrTable,
    Kind,
    Number,
    OneOf,
    Record,
    Table,
    Text,
)
from builder.recipe.model import DEFAULT_LEVEL, Fips, Flavour
from bundles.errors import FormatError
from bundles.platform import Platform

FORMAT = 1
BUNDLE, COMPONENTS, IMAGES, CHARTS = "bundle.yaml", "components.yaml", "images.yaml", "charts.yaml"
DEFAULT_RUNTIME = "rke2-runtime"

_SEGMENT = words.SEGMENT
_BELOW = words.BELOW
_GO_MODULE = r"[A-Za-z0-9][A-Za-z0-9._~-]*(?:/(?!\.\.?(?:[/@]|$))[A-Za-z0-9._~-]+)*"
_GO_VERSION = r"v[0-9]+\.[0-9]+\.[0-9]+(?:[-+][A-Za-z0-9.+-]+)?"
_DEB_NAME = r"[a-z0-9][a-z0-9.+-]+"
_DEB_VERSION = r"[0-9][A-Za-z0-9.+:~-]*"
_LOCAL = words.LOCAL
_LINE = r"[^\x00-\x1f\x7f]"


def _platform(text: str) -> Platform:
    """A platform that programs can be built and checked for."""
    platform = Platform.parse(text)
    if platform.os != "linux" or platform.elf_machine is None:
        raise FormatError("nothing can be built for it", got=text, want="linux/amd64 or linux/arm64")
    return platform


NAME = Text(what="a name (lower-case letters, digits, . _ -)", pattern=r"[a-z0-9](?:[a-z0-9._-]{0,62})")
PROGRAM = words.PROGRAM
BUNDLE_VERSION = Text(
    what="a version that begins with v and a digit", pattern=r"v[0-9][A-Za-z0-9._-]{0,99}", example="v1.34.4-rke2r1"
)
FOLDER = Text(what="a path below the recipe's folder", pattern=rf"(?:\./)?{_BELOW}", example="charts/coredns")
MEMBER = Text(what="a path below the source's folder", pattern=_BELOW, example="build/pause")
PACKAGE_MEMBER = Text(what="a path in the package", pattern=rf"/?{_BELOW}", example="usr/sbin/nft")
DEB = Text(what="NAME=VERSION", pattern=rf"{_DEB_NAME}={_DEB_VERSION}", example="busybox-static=1:1.35.0-4+b3")
_GLOB = r"(?!\.\.?(?:/|$))[A-Za-z0-9_*][A-Za-z0-9._+@~*-]*"
TREE_PATH = Text(
    what="a path of a package (* in its last part, / at its end for a folder)",
    pattern=rf"(?:{_SEGMENT}/)*(?:{_SEGMENT}/|{_GLOB})",
    example="usr/sbin/nft",
)
LINK = Text(what="a name beside it, or an absolute path", pattern=rf"{_SEGMENT}|/{_BELOW}", example="iptables")
PACKAGE_PATH = Text(what="a package path below the module (. is its root)", pattern=rf"\.|{_BELOW}", example="cmd/ctr")
IMAGE_FOLDER = Text(what="an absolute path in the image", pattern=rf"/(?:{_BELOW})?", example="/bin")
WHAT = Text(
    what="a component, component/file or charts",
    pattern=rf"{NAME.pattern}(?:/{PROGRAM.pattern})?",
    example="kubernetes/kubelet",
)
SYMBOL = Text(what="a Go symbol", pattern=r"[A-Za-z0-9._~/-]+\.[A-Za-z0-9_]+", example="main.gitCommit")
STAMP = Text(what="a text without blanks or quotes", pattern=r"[A-Za-z0-9._~/:@+,=$-]+", example="$version")
TAG = Text(what="a Go build tag", pattern=r"[A-Za-z0-9_.]+", example="no_btrfs")
NEED = Text(what="the name of a package of the build root", pattern=_DEB_NAME, example="libseccomp-dev")
COMMAND = Text(what="a shell command in one line", pattern=rf"{_LINE}+", example="make socat")
COMPONENT_VERSION = Text(what="a version", pattern=r"[A-Za-z0-9][A-Za-z0-9._+~-]{0,99}", example="0.1.0")
REPLACED = Text(what="a Go module, or a prefix that ends in /*", pattern=rf"{_GO_MODULE}(?:/\*)?", example="k8s.io/*")
GO_MODULE = Text(what="a Go module", pattern=_GO_MODULE, example="example.org/lib")
MODULE_VERSION = Text(what="a Go module version", pattern=_GO_VERSION, example="v0.34.4")
REFERENCE = Text(what="an image name", pattern=r"[A-Za-z0-9._:/$@-]+", example="rancher/mirrored-pause:3.10.1")
PLATFORM = Text(
    what="a platform", pattern=r"[a-z0-9]+/[a-z0-9]+(?:/[a-z0-9]+)?", example="linux/amd64", parse=_platform
)
WORD = Text(what="a text", pattern=rf"{_LINE}+")
ENVIRONMENT = Text(what="the name of a variable", pattern=r"[A-Za-z_][A-Za-z0-9_]*", example="PATH")
LABEL = Text(what="a label", pattern=r"[A-Za-z0-9._/-]+", example="org.opencontainers.image.title")
SIZE = Text(what="a size", pattern=r"[1-9][0-9]{0,9} ?(?:B|kB|MB|GB|KiB|MiB|GiB)", example="700 MB")
DAYS = Text(what="a number of days", pattern=r"[1-9][0-9]{0,4} days?", example="180 days")

SUITE = Text(what="the name of a Debian release", pattern=r"[a-z]{2,20}", example="bookworm")
OWN_CRYPTO = Text(
    what="boringcrypto, go-native or off, then `because` and the reason",
    pattern=rf"(?:{'|'.join(Fips)}) because {_LINE}{{3,200}}",
    example="off because it holds no crypto",
)

_VERSION = Field(kind=COMPONENT_VERSION, doc="Version of sources beside the recipe; others say theirs after @ or =.")
_NEEDS = Field(kind=Items(of=NEED), doc="Debian packages that compiling needs: compilers, libraries.")
_STATIC = Field(
    kind=Flag(), default="true", doc="Programs must be fully static: no interpreter, no shared libraries; checked."
)
_OUTPUT = ItemsOrTable(items=Items(of=MEMBER, least=1), table=Table(key=PROGRAM, value=MEMBER, least=1))

BUNDLE_RECORD = Record(
    doc="What a site gets.",
    fields={
        "sealift": Field(kind=Number(least=FORMAT, most=FORMAT), doc="Version of the recipe format.", required=True),
        "name": Field(kind=NAME, doc="The bundle's name; its folder is NAME-VERSION-PLATFORM.", required=True),
        "version": Field(
            kind=BUNDLE_VERSION,
            doc="The bundle's version and the runtime image's tag. Nodes key their data directory on it: new content "
            "needs a new version.",
            required=True,
        ),
        "flavour": Field(
            kind=Choice(words=tuple(Flavour)),
            default="classic",
            doc="`classic`: containerd 1.7 and its v1 shims, for sealift-node; the runtime tag gets `-classic`, so "
            "that no stock RKE2 picks it up. `modern`: containerd 2.",
        ),
        "sequence": Field(
            kind=Number(least=1), doc="Grows with every release; a node never goes back by itself.", required=True
        ),
        "platforms": Field(kind=Items(of=PLATFORM, least=1), doc="What is built: a bundle for each.", required=True),
        "go": Field(
            kind=Text(what="an exact Go version", pattern=r"1\.[0-9]+\.[0-9]+", example="1.26.8"),
            doc="The exact Go toolchain; needed as soon as one component is `go`.",
        ),
        "fips": Field(kind=Choice(words=tuple(Fips)), default="off", doc="The crypto of every Go component."),
        "buildroot": Field(
            kind=SUITE,
            doc="A Debian release: everything is compiled inside locked packages of it (compiler, C library, what "
            "components need), entered without network and with nothing of the machine. Without it C is compiled by "
            "the machine's own compiler, which then is part of what a step is.",
        ),
        "runtime": Field(
            kind=NAME, default=DEFAULT_RUNTIME, doc="The image a node unpacks first; it is alone in its archive."
        ),
        "archives": Field(
            kind=Table(key=NAME, value=Items(of=NAME, least=1), least=1),
            doc="File names (without .tar) in the bundle's images/, and the images in each, in this order.",
            required=True,
        ),
        "charts": Field(kind=Items(of=NAME), default="all of charts.yaml", doc="The charts that the bundle carries."),
        "helm": Field(
            kind=NAME,
            doc="The component whose program `helm` renders the charts with all their `discover` values, the build "
            "then fails unless the images they and `asks` ask for are exactly those of the archives. Without it the "
            "images are taken as they are listed.",
        ),
        "asks": Field(
            kind=Table(key=NAME, value=Items(of=NAME, least=1)),
            doc="Who beside the charts asks for images: static pods, the container runtime, controllers.",
        ),
        choices.KEY: choices.FIELD,
        "budget": Field(kind=SIZE, doc="The build fails when the archives are larger in all, and says what grew."),
        "expires": Field(kind=DAYS, doc="How long after its lock's epoch the bundle may be admitted."),
        "level": Field(
            kind=Number(least=1, most=19),
            default=str(DEFAULT_LEVEL),
            doc="zstd level of the layers built here. 12 makes them 1 % smaller in three times the time.",
        ),
        "base": Field(
            kind=Text(
                what="../FOLDER, a recipe beside this one",
                pattern=r"\.\./[A-Za-z0-9][A-Za-z0-9._-]{0,99}",
                example="../rke2-v1.34",
            ),
            doc="Another recipe, whose entries (keys on top of each of the four files) this one takes; an entry that "
            "it writes itself replaces the base's whole one. With it only `sealift` is required, and what nothing "
            "uses of the base is left out.",
        ),
    },
    lender="base",
    always=("sealift",),
)

GO_RECORD = Record(
    doc="Main packages of one Go module, compiled here: static, trimmed paths, no VCS stamp.",
    fields={
        "go": Field(
            kind=Text(
                what="MODULE@VERSION or ./folder",
                pattern=rf"{_GO_MODULE}@{_GO_VERSION}|{_LOCAL}",
                example="k8s.io/kubernetes@v1.34.4",
            ),
            doc="`MODULE@VERSION`, or `./folder`, a module beside the recipe. Its modules are pinned by go.mod and "
            "go.sum in `go/COMPONENT/` (of the folder itself for `./folder`).",
            required=True,
        ),
        "build": Field(
            kind=ItemsOrTable(items=Items(of=PROGRAM, least=1), table=Table(key=PROGRAM, value=PACKAGE_PATH, least=1)),
            doc="Names of the programs; packages are `FROM/NAME`, or without `from` the module's root (one program "
            "only). As a mapping: program -> package below the module, `.` for its root; in a "
            "`./folder` also one of a module that its go.mod requires, `example.org/x/cmd/x`, with what that replaces.",
            required=True,
        ),
        "from": Field(kind=PACKAGE_PATH, doc="Folder of the module that holds the packages of a `build` list."),
        "stamp": Field(
            kind=Table(key=SYMBOL, value=STAMP), doc="Texts that the linker writes into string variables (-X)."
        ),
        "tags": Field(kind=Items(of=TAG), doc="Go build tags."),
        "cgo": Field(kind=Flag(), default="false", doc="C inside: CGO_ENABLED=1, linked statically."),
        "fips": Field(
            kind=OWN_CRYPTO,
            doc="Crypto of this component, where it cannot be the bundle's: `MODE because REASON`. The reason is shown "
            "by `inspect` and stands in the SBOM.",
        ),
        "needs": _NEEDS,
        "sumdb": Field(
            kind=Flag(),
            default="true",
            doc="false: the checksum database does not know the module; its sum in go.sum is trust on first use.",
        ),
        "unverified": Field(
            kind=Items(of=GO_MODULE),
            doc="Modules it requires that the checksum database does not know either: trust on first use.",
        ),
        "replace": Field(
            kind=Table(key=REPLACED, value=MODULE_VERSION),
            doc="Lifts modules to another version. `PREFIX/*` stands for all modules below it that upstream asks for "
            "in a version nobody serves: v0.0.0 or a pre-release.",
        ),
        "static": _STATIC,
        "version": _VERSION,
    },
)
COMPILE_RECORD = Record(
    doc="C sources and a short list of commands, run without network in the source's folder.",
    fields={
        "compile": Field(
            kind=Text(
                what="deb-source:NAME=VERSION, go-source:MODULE@VERSION, url:https://... or ./folder",
                pattern=rf"deb-source:{_DEB_NAME}={_DEB_VERSION}|go-source:{_GO_MODULE}@{_GO_VERSION}|url:{words.URL}|{_LOCAL}",
                example="deb-source:socat=1.7.4.4-2",
            ),
            doc="`deb-source:NAME=VERSION`, a Debian source package with its patches; `go-source:MODULE@VERSION`, the "
            "files of a Go module; `url:https://...`, an archive that somebody publishes, a single folder at its top "
            "taken off; `./folder`, sources beside the recipe.",
            required=True,
        ),
        "run": Field(
            kind=Items(of=COMMAND, least=1, unique=False), doc="Shell commands, one after the other.", required=True
        ),
        "output": Field(
            kind=_OUTPUT,
            doc="The files that the commands make: paths, each kept by its last part, or name -> path.",
            required=True,
        ),
        "needs": _NEEDS,
        "static": _STATIC,
        "version": _VERSION,
        **urlkind.WITNESS_FIELDS,
    },
)
DEB_RECORD = Record(
    doc="Files of one Debian binary package; nothing of it is run.",
    fields={
        "deb": Field(
            kind=DEB,
            doc="The package and its exact version.",
            required=True,
        ),
        "files": Field(
            kind=ItemsOrTable(
                items=Items(of=PACKAGE_MEMBER, least=1), table=Table(key=PROGRAM, value=PACKAGE_MEMBER, least=1)
            ),
            doc="Paths in the package, each kept by its last part, or name -> path.",
            required=True,
        ),
        "static": Field(kind=Flag(), default="false", doc="Programs must be fully static; checked."),
    },
)
USERLAND_RECORD = Record(
    doc="Files of Debian binary packages at their own paths, with the shared libraries they need; nothing is run. "
    "Scanners find the packages in /var/lib/dpkg/status.d.",
    fields={
        "userland": Field(
            kind=Items(of=DEB, least=1),
            doc="The packages and their exact versions. Those of libraries are found and pinned by `sealift lock`.",
            required=True,
        ),
        "files": Field(
            kind=Items(of=TREE_PATH, least=1),
            doc="Paths in the packages; the last part may hold `*`, a path that ends with `/` is an empty folder.",
            required=True,
        ),
        "links": Field(
            kind=Table(key=MEMBER, value=Items(of=LINK, least=1)),
            doc="Path -> names beside it, or absolute paths, that become links to it.",
        ),
    },
)
FILE_RECORD = Record(
    doc="One file beside the recipe.",
    fields={
        "file": Field(
            kind=Text(what="./path", pattern=_LOCAL, example="./files/nsswitch.conf"),
            doc="The file, kept by its last part.",
            required=True,
        ),
        "executable": Field(kind=Flag(), default="false", doc="Mode 0755 instead of 0644."),
        "version": _VERSION,
    },
)
COMPONENT = OneOf(
    doc="Where the files come from. Exactly one key says the kind. `$version` is the component's own version.",
    kinds={
        "go": GO_RECORD,
        "compile": COMPILE_RECORD,
        "deb": DEB_RECORD,
        "userland": USERLAND_RECORD,
        "file": FILE_RECORD,
        "url": urlkind.URL_RECORD,
        "image": urlkind.IMAGE_FILES_RECORD,
    },
)

ASSEMBLE_RECORD = Record(
    doc="Files into an image, over nothing (`scratch`). `$version` is the bundle's version.",
    fields={
        "name": Field(
            kind=REFERENCE,
            doc="`[registry/]repository:tag`. The runtime image has no tag: it gets the bundle's version and flavour.",
            required=True,
        ),
        "layers": Field(
            kind=Items(of=Table(key=WHAT, value=IMAGE_FOLDER, least=1), least=1),
            doc="One layer per list item, what rarely changes first. Each is `what: where`: a component (all its "
            "files), `component/file`, or `charts` (all packaged charts), into a folder of the image.",
            required=True,
        ),
        "user": Field(
            kind=Text(what="UID[:GID]", pattern=r"[0-9]{1,9}(?::[0-9]{1,9})?", example="65534:65534"),
            doc="Who runs it, in numbers.",
        ),
        "entrypoint": Field(kind=Items(of=WORD, unique=False), doc="The program and its fixed arguments."),
        "command": Field(kind=Items(of=WORD, unique=False), doc="Arguments that a pod may replace."),
        "environment": Field(kind=Table(key=ENVIRONMENT, value=WORD), doc="Variables."),
        "workdir": Field(kind=IMAGE_FOLDER, doc="Where it starts."),
        "labels": Field(kind=Table(key=LABEL, value=WORD), doc="Labels of the image's configuration."),
    },
)
IMAGE = OneOf(
    doc="Exactly one key says the kind of an image.",
    kinds={
        "layers": ASSEMBLE_RECORD,
        mirrorkind.KEY: mirrorkind.MIRROR_RECORD,
        elsewherekind.ARCHIVE: elsewherekind.ARCHIVE_RECORD,
        elsewherekind.ENGINE: elsewherekind.ENGINE_RECORD,
    },
)

_ANY_CHART: Mapping[str, Field] = {
    "bootstrap": Field(kind=Flag(), default="false", doc="May install before the pod network is up."),
    "take-ownership": Field(kind=Flag(), default="false", doc="May take over objects that exist already."),
    "discover": Field(
        kind=Items(of=Anything(), unique=False), doc="Value sets rendered to find every image it can ask for."
    ),
}
FOLDER_CHART_RECORD = Record(
    doc="A chart's source folder beside the recipe, packaged here.",
    fields={"folder": Field(kind=FOLDER, doc="The folder with Chart.yaml.", required=True), **_ANY_CHART},
)
CHART = OneOf(
    doc="HelmChart manifests, named `rke2-<key>`. Exactly one key says the kind.",
    kinds={"folder": FOLDER_CHART_RECORD, **publishedchart.records(_ANY_CHART)},
)

FILES: Mapping[str, Kind] = {
    BUNDLE: BUNDLE_RECORD,
    COMPONENTS: Table(key=NAME, value=COMPONENT, least=1),
    IMAGES: Table(key=NAME, value=IMAGE, least=1),
    CHARTS: Table(key=NAME, value=CHART),
}
