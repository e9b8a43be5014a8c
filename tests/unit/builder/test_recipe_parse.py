"""A recipe's problems: all at once, each with file, line and key, and the nearest right word."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import pytest

from builder.recipe.model import (
    CompileComponent,
    DebComponent,
    FileComponent,
    Flavour,
    GoComponent,
    Placement,
    Recipe,
    UserlandComponent,
)
from builder.recipe.parse import parse_recipe
from bundles.errors import ProblemsError

BUNDLE = """\
sealift: 1
name: demo
version: v1.0.0-r1
sequence: 3
platforms: [linux/amd64]
go: 1.26.8
archives:
  rke2-runtime: [rke2-runtime]
  rest: [tools]
"""
COMPONENTS = """\
kubernetes:
  go: k8s.io/kubernetes@v1.34.4
  from: cmd
  build: [kubelet, kubectl]
  stamp: {k8s.io/component-base/version.gitVersion: $version}
tool:
  compile: ./src/tool
  version: 0.1.0
  run: [gcc -DV=$version -o tool tool.c]
  output: [out/tool]
box:
  deb: busybox-static=1:1.35.0-4+b3
  files: [/bin/busybox]
text:
  file: ./files/motd
"""
IMAGES = """\
rke2-runtime:
  name: rancher/rke2-runtime
  layers:
    - kubernetes: /bin
    - tool/tool: /bin
    - charts: /charts
tools:
  name: rancher/tools:$version
  layers: [{box: /bin, text: /etc}]
"""
CHARTS = """\
web:
  folder: charts/web
  discover: [{}, {a: {b: [1, true, null, text, "1.10"]}}]
"""
FILES = {"bundle.yaml": BUNDLE, "components.yaml": COMPONENTS, "images.yaml": IMAGES, "charts.yaml": CHARTS}


def parse(files: Mapping[str, str]) -> Recipe:
    return parse_recipe(Path("demo"), {name: text.encode() for name, text in files.items()})


def changed(file: str, old: str, new: str) -> dict[str, str]:
    assert old in FILES[file]
    return FILES | {file: FILES[file].replace(old, new)}


def problems(files: Mapping[str, str]) -> list[str]:
    with pytest.raises(ProblemsError) as caught:
        parse(files)
    return [str(problem) for problem in caught.value.problems]


def one_problem(file: str, old: str, new: str) -> str:
    found = problems(changed(file, old, new))
    assert len(found) == 1, found
    return found[0]


def test_a_recipe_becomes_values_with_defaults_filled_in() -> None:
    recipe = parse(FILES)
    assert (recipe.name, recipe.version, recipe.sequence, recipe.flavour) == ("demo", "v1.0.0-r1", 3, Flavour.CLASSIC)
    assert recipe.runtime == "rke2-runtime"
    assert recipe.images["rke2-runtime"].reference.original == "rancher/rke2-runtime:v1.0.0-r1-classic"
    assert recipe.images["tools"].reference.original == "rancher/tools:v1.0.0-r1"
    kubernetes, tool, box, text = recipe.components.values()
    assert isinstance(kubernetes, GoComponent)
    assert kubernetes.packages == {"kubelet": "cmd/kubelet", "kubectl": "cmd/kubectl"}
    assert kubernetes.stamps == {"k8s.io/component-base/version.gitVersion": "v1.34.4"}
    assert isinstance(tool, CompileComponent)
    assert (tool.run, tool.output) == (("gcc -DV=0.1.0 -o tool tool.c",), {"tool": PurePosixPath("out/tool")})
    assert isinstance(box, DebComponent)
    assert (box.package, box.version, box.files) == (
        "busybox-static",
        "1:1.35.0-4+b3",
        {"busybox": PurePosixPath("bin/busybox")},
    )
    assert isinstance(text, FileComponent)
    assert (text.mode, text.path) == (0o644, PurePosixPath("files/motd"))
    assert recipe.images["rke2-runtime"].layers[1] == (
        Placement(component="tool", output="tool", folder=PurePosixPath("/bin")),
    )
    assert recipe.charts["web"].discover == ({}, {"a": {"b": [1, True, None, "text", "1.10"]}})


def test_all_problems_of_all_files_are_shown_at_once_in_order() -> None:
    files = changed("bundle.yaml", "sequence: 3", "sequense: 3")
    files["components.yaml"] = COMPONENTS.replace("from: cmd", "form: cmd").replace("[out/tool]", "out/tool")
    files["images.yaml"] = IMAGES.replace("tool/tool", "tool/tol")
    found = problems(files)
    assert [text.partition(": ")[0] for text in found] == [
        "bundle.yaml:1:sequence",
        "bundle.yaml:4:sequense",
        "components.yaml:3:kubernetes.form",
        "components.yaml:4:kubernetes.build",
        "components.yaml:10:tool.output",
    ]


@pytest.mark.parametrize(
    ("file", "old", "new", "where", "says"),
    [
        ("bundle.yaml", "sealift: 1", "sealift: 2", "bundle.yaml:1:sealift", "from 1 to 1"),
        ("bundle.yaml", "v1.0.0-r1", "1.0.0-r1", "bundle.yaml:3:version", "begins with v and a digit"),
        ("bundle.yaml", "sequence: 3", "sequence: 03", "bundle.yaml:4:sequence", "no leading 0"),
        ("bundle.yaml", "sequence: 3", 'sequence: "3"', "bundle.yaml:4:sequence", "no quotes"),
        ("bundle.yaml", "linux/amd64", "linux/riscv64", "bundle.yaml:5:platforms.0", "nothing can be built"),
        ("bundle.yaml", "1.26.8", "1.26", "bundle.yaml:6:go", 'write "1.26"'),
        ("bundle.yaml", "go: 1.26.8\n", "", "components.yaml:2:kubernetes.go", "names no Go toolchain"),
        ("bundle.yaml", "[tools]", "[tool]", "bundle.yaml:9:archives.rest.0", "did you mean tools?"),
        ("bundle.yaml", "name: demo", "name: demo\nflavour: clasic", "bundle.yaml:3:flavour", "did you mean classic?"),
        ("bundle.yaml", "name: demo", "name: demo\nbudget: 700 mb", "bundle.yaml:3:budget", "700 MB"),
        ("bundle.yaml", "sequence: 3", "sequence: 3\nplattforms: []", "bundle.yaml:5:plattforms", "mean platforms?"),
        ("bundle.yaml", "name: demo", "name: demo\nfips: no", "bundle.yaml:3:fips", "boringcrypto, go-native, off"),
        ("bundle.yaml", "name: demo", "name: demo\nbase: ../x", "bundle.yaml:3:base", "the base is not at hand"),
        (
            "bundle.yaml",
            "name: demo",
            "name: demo\nbuildroot: Debian 12",
            "bundle.yaml:3:buildroot",
            "a Debian release",
        ),
        ("components.yaml", "from: cmd", "from: ../cmd", "components.yaml:3:kubernetes.from", "cmd/ctr"),
        ("components.yaml", "  from: cmd\n", "", "components.yaml:3:kubernetes.build", "know their packages"),
        ("components.yaml", "$version}", "$verson}", "components.yaml:5", "only $version"),
        ("components.yaml", "  version: 0.1.0\n", "", "components.yaml:8:tool.run.0", "has no version"),
        ("components.yaml", "version: 0.1.0", "version: 1.10", "components.yaml:8:tool.version", 'write "1.10"'),
        ("components.yaml", "  deb: busybox", "  dep: busybox", "components.yaml:11:box", "did you mean deb?"),
        (
            "components.yaml",
            "  deb: b",
            "  url: x\n  deb: b",
            "components.yaml:13:box.deb",
            "two kinds at once",
        ),
        ("components.yaml", "  deb: b", "  file: ./x\n  deb: b", "components.yaml:13:box.deb", "two kinds at once"),
        ("components.yaml", "./src/tool", "./../tool", "components.yaml:7:tool.compile", "./folder"),
        ("components.yaml", "./src/tool", "/src/tool", "components.yaml:7:tool.compile", "./folder"),
        ("components.yaml", "[out/tool]", "[out/tool, in/tool]", "components.yaml:6:tool", "two files called tool"),
        ("components.yaml", "  deb: b", "  version: 1.0.0\n  deb: b", "components.yaml:12:box.version", "unknown key"),
        ("components.yaml", "./files/motd", "./files/../motd", "components.yaml:15:text.file", "./path"),
        ("images.yaml", "kubernetes: /bin", "kubernetes: bin", "images.yaml:4:rke2-runtime.layers.0", "absolute"),
        ("images.yaml", "tool/tool: /bin", "tool/tol: /bin", "images.yaml:5", "did you mean tool?"),
        ("images.yaml", "charts: /", "charts/web: /", "images.yaml:6", "charts: /charts"),
        ("images.yaml", "rancher/rke2-runtime", "rancher/rke2-runtime:v1", "images.yaml:2", "leave it out"),
        ("images.yaml", "tools:$version", "tools", "images.yaml:8:tools.name", "no tag"),
        ("images.yaml", "rancher/tools", "Rancher/tools", "images.yaml:8:tools.name", "malformed repository"),
        ("images.yaml", "text: /etc", "tool: /bin, text: /etc, tool/tool: /bin", "images.yaml:9", "is there already"),
        ("images.yaml", "{box: /bin, text: /etc}", "{box: /bin}", "components.yaml:14:text", "no image holds"),
        ("images.yaml", "    - charts: /charts", "    - charts: /a\n    - {}", "images.yaml:7", "empty mapping"),
        ("charts.yaml", "folder: charts/web", "oci: x", "charts.yaml:2:web.oci", "the registry is not named"),
        ("charts.yaml", "true, null", "yes, null", "charts.yaml:3:web.discover.1.a.b.1", 'write "yes"'),
    ],
)
def test_what_is_wrong_is_named_with_a_way_out(file: str, old: str, new: str, where: str, says: str) -> None:
    found = one_problem(file, old, new)
    assert found.startswith(where) and says in found


def test_the_runtime_image_has_an_archive_of_its_own() -> None:
    files = changed("bundle.yaml", "[rke2-runtime]\n  rest: [tools]", "[rke2-runtime, tools]")
    assert "is not alone" in "".join(problems(files))


def test_an_image_goes_into_exactly_one_archive() -> None:
    assert "in rest already" in one_problem("bundle.yaml", "  rest: [tools]", "  rest: [tools]\n  again: [tools]")
    assert "in no archive" in one_problem("bundle.yaml", "  rest: [tools]\n", "")


def test_two_images_of_one_name_are_refused_however_they_are_spelled() -> None:
    more = IMAGES + "third:\n  name: docker.io/rancher/tools:v1\n  layers: [{box: /bin}]\n"
    files = FILES | {"images.yaml": more.replace("tools:$version", "tools:v1")}
    files["bundle.yaml"] = BUNDLE.replace("[tools]", "[tools, third]")
    assert "the image tools has this name already" in "".join(problems(files))


def test_words_of_a_choice_may_stand_without_quotes() -> None:
    assert str(parse(changed("bundle.yaml", "name: demo", "name: demo\nfips: off")).fips) == "off"


def test_missing_files_are_named_and_charts_may_be_missing() -> None:
    assert problems({"bundle.yaml": BUNDLE})[0] == "components.yaml:1: the file is missing"
    files = {name: text for name, text in FILES.items() if name != "charts.yaml"}
    assert parse(files).charts == {}


def test_a_misspelled_name_tells_the_nearest_one_and_what_went_missing() -> None:
    found = problems(changed("images.yaml", "kubernetes: /bin", "kubernets: /bin"))
    assert found[0].startswith("components.yaml:1:kubernetes: no image holds")
    assert "did you mean kubernetes?" in found[1]


def test_only_the_charts_that_the_bundle_lists_are_part_of_it() -> None:
    more = CHARTS + "other:\n  folder: charts/other\n"
    files = changed("bundle.yaml", "name: demo", "name: demo\ncharts: [web]") | {"charts.yaml": more}
    assert "not among the bundle's charts" in "".join(problems(files))


def test_a_user_s_text_reaches_the_terminal_without_control_characters() -> None:
    text = "\n".join(problems(changed("bundle.yaml", "name: demo", 'name: demo\n"\\e[31m": 1')))
    assert "\x1b" not in text


def test_a_flood_of_problems_is_cut() -> None:
    flood = BUNDLE + "".join(f"key{number}: 1\n" for number in range(5000))
    assert len(problems(FILES | {"bundle.yaml": flood})) == 101


@pytest.mark.parametrize(
    ("text", "size"), [("1 B", 1), ("700 MB", 700_000_000), ("2GiB", 2 << 30), ("5 kB", 5000), ("3 KiB", 3072)]
)
def test_sizes_are_counted_in_bytes(text: str, size: int) -> None:
    assert parse(changed("bundle.yaml", "name: demo", f"name: demo\nbudget: {text}")).budget == size


SHELL = """\
shell:
  userland: [busybox-static=1:1.35.0-4+b3, base-files=12.4]
  files: [bin/busybox, usr/lib/*.so, tmp/]
  links: {bin/busybox: [sh, /usr/bin/env]}
"""


def with_shell(text: str = SHELL, bundle: str = BUNDLE, images: str = IMAGES) -> Recipe:
    images = images.replace("{box: /bin,", "{shell: /, box: /bin2,")
    return parse({**FILES, "bundle.yaml": bundle, "components.yaml": COMPONENTS + text, "images.yaml": images})


def test_a_userland_names_packages_files_and_links() -> None:
    shell = with_shell().components["shell"]
    assert shell == UserlandComponent(
        name="shell",
        packages=("busybox-static=1:1.35.0-4+b3", "base-files=12.4"),
        files=("bin/busybox", "usr/lib/*.so", "tmp/"),
        links={"bin/busybox": ("sh", "/usr/bin/env")},
    )


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("base-files=12.4", "base-files", "want NAME=VERSION"),
        ("usr/lib/*.so", "/usr/lib/x.so", "want a path of a package"),
        ("usr/lib/*.so", "usr/*/x.so", "want a path of a package"),
        ("usr/lib/*.so", "usr/../x", "want a path of a package"),
        ("[sh, ", "[../sh, ", "want a name beside it"),
        ("links:", "version: v1\n  links:", "unknown key"),
    ],
)
def test_wrong_userlands_are_told(old: str, new: str, words: str) -> None:
    with pytest.raises(ProblemsError, match=words):
        with_shell(SHELL.replace(old, new))


def test_files_of_a_userland_collide_like_others() -> None:
    with pytest.raises(ProblemsError, match=r"/bin/sh is there already, from shell"):
        with_shell(images=IMAGES.replace("text: /etc}", "tool/tool: /bin, other: /bin}"), text=SHELL + OTHER)


OTHER = "other:\n  file: ./files/sh\n"


def test_who_asks_for_images_must_ask_for_known_ones() -> None:
    helm = "helm: box\nasks: {static-pods: [tols]}\n"
    with pytest.raises(ProblemsError) as caught:
        with_shell(bundle=BUNDLE + helm)
    assert "asks" in str(caught.value) and "did you mean tools?" in str(caught.value)
    assert "no component box that makes a file helm" in str(caught.value)
    made = "helm:\n  go: helm.sh/helm/v3@v3.19.0\n  from: cmd\n  build: [helm]\n"
    recipe = with_shell(SHELL + made, bundle=BUNDLE + helm.replace("box", "helm").replace("tols", "tools"))
    assert (recipe.helm, recipe.asks) == ("helm", {"static-pods": ("tools",)})


def test_a_component_may_have_its_own_crypto_with_a_reason() -> None:
    old = "  go: "
    assert old in FILES["components.yaml"]
    text = FILES["components.yaml"]
    line = next(line for line in text.splitlines() if line.startswith(old))
    made = parse(changed("components.yaml", line, f"{line}\n  fips: off because it has none"))
    own = [c for c in made.components.values() if isinstance(c, GoComponent) and c.fips is not None]
    assert [(str(c.fips), c.fips_reason) for c in own] == [("off", "it has none")]
    for wrong in ("off", "maybe because of it", "off because"):
        (problem,) = problems(changed("components.yaml", line, f"{line}\n  fips: {wrong}"))
        assert "because" in problem
