"""The import arrows of this codebase, as a test: change the table, not the habit.

builder -> bundles <- runtime. The two halves meet only in the bundle format. Pure modules decide and touch nothing;
the doors to processes, files and registries are named here.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = {
    "bundles": {"cryptography", "backports", "msgspec", "urllib3", "oras", "requests"},
    "builder": {"bundles", "backports", "msgspec", "yaml", "click", "rich", "elftools", "python_on_whales"},
    "runtime": {"bundles", "cryptography", "msgspec", "yaml", "click", "aiohttp"},
}
SUBPROCESS_DOORS = {"builder.process", "runtime.process"}
# Values, rules and plans: bytes and facts in, values out.
PURE = {
    "bundles.errors",
    "bundles.digest",
    "bundles.reference",
    "bundles.datakey",
    "bundles.platform",
    "bundles.jsontext",
    "bundles.oci",
    "bundles.index",
    "bundles.masking",
    "bundles.consistency",
    "bundles.choices",
    "bundles.sums",
    "bundles.registry.artifact",
    "bundles.registry.bandwidth",
    "bundles.registry.challenge",
    "bundles.registry.credentials",
    "bundles.registry.documents",
    "bundles.registry.place",
    "bundles.registry.retry",
    "bundles.registry.wire",
    "bundles.ustar",
    "bundles.layers.members",
    "bundles.layers.model",
    "bundles.layers.plan",
    "bundles.signing.base64text",
    "bundles.signing.blob",
    "bundles.signing.der",
    "bundles.signing.dsse",
    "bundles.signing.envelope",
    "bundles.signing.images",
    "bundles.signing.keyfile",
    "bundles.signing.keys",
    "bundles.signing.names",
    "bundles.signing.pem",
    "bundles.signing.secretbox",
    "bundles.signing.signed",
    "bundles.signing.slot",
    "bundles.signing.statement",
    "bundles.sealed.documents",
    "bundles.sealed.layout",
    "bundles.sealed.opened",
    "builder.buildroot.cross",
    "builder.buildroot.layout",
    "builder.buildroot.model",
    "builder.errors",
    "builder.copyleft.asks",
    "builder.copyleft.listing",
    "builder.copyleft.shipped",
    "builder.describe.bill",
    "builder.describe.cyclonedx",
    "builder.describe.debcopyright",
    "builder.describe.documents",
    "builder.describe.licences",
    "builder.describe.licencetexts",
    "builder.describe.model",
    "builder.describe.names",
    "builder.describe.parts",
    "builder.describe.provenance",
    "builder.describe.published",
    "builder.describe.purl",
    "builder.describe.receipts",
    "builder.describe.spdx",
    "builder.inputs.model",
    "builder.inputs.readme",
    "builder.inputs.text",
    "builder.plan.model",
    "builder.lock.images",
    "builder.lock.imagesources",
    "builder.lock.model",
    "builder.recipe.elsewhere",
    "builder.recipe.fetched",
    "builder.recipe.kinds",
    "builder.recipe.words",
    "builder.recipe.crypto",
    "builder.recipe.model",
    "builder.recipe.offers",
    "builder.recipe.taken",
    "builder.sources.aptlists",
    "builder.sources.gomod",
    "builder.update.edit",
    "builder.update.versions",
    "runtime.arguments",
    "runtime.choices",
    "runtime.configs.apiserver",
    "runtime.configs.containerd",
    "runtime.configs.etcd",
    "runtime.configs.kubelet",
    "runtime.configs.toml",
    "runtime.kubeconfig",
    "runtime.nodeconf.keys",
    "runtime.nodeconf.model",
    "runtime.etcd.learners",
    "runtime.etcd.schedule",
    "runtime.nodeconf.parse",
    "runtime.nodeconf.settings",
    "runtime.nodepaths",
    "runtime.pki.certificates",
    "runtime.pki.plan",
    "runtime.staticpods.apiserver",
    "runtime.staticpods.controllers",
    "runtime.staticpods.etcd",
    "runtime.staticpods.helm",
    "runtime.staticpods.model",
    "runtime.staticpods.proxy",
    "runtime.staticpods.render",
    "runtime.staticpods.resources",
    "runtime.staticpods.scheduler",
    "runtime.yamlread",
    "runtime.yamltext",
    "runtime.daemon.addons",
    "runtime.daemon.advance",
    "runtime.daemon.archives",
    "runtime.daemon.chosen",
    "runtime.daemon.conditions",
    "runtime.daemon.table",
    "runtime.reset.rules",
}
DOORS = {"os", "io", "shutil", "tempfile", "socket", "ssl", "http", "urllib", "subprocess", "time", "random", "secrets"}


def modules() -> list[tuple[str, Path]]:
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            found.append((name, path))
    return found


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module, f"{path}: write imports in full"
            below = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if is_module(name) else node.module for name in below)


def is_module(name: str) -> bool:
    """`from bundles import oci` imports bundles.oci; `from bundles.oci import INDEX` imports bundles.oci as well."""
    path = ROOT / name.replace(".", "/")
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


@pytest.mark.parametrize(("module", "path"), modules(), ids=lambda value: value if isinstance(value, str) else "")
def test_imports_follow_the_arrows(module: str, path: Path) -> None:
    package = module.partition(".")[0]
    for name in imported(path):
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names:
            continue
        assert top == package or top in PACKAGES[package], f"{module} must not import {name}: see PACKAGES"


@pytest.mark.parametrize(("module", "path"), modules(), ids=lambda value: value if isinstance(value, str) else "")
def test_programs_are_started_in_one_module_of_each_half(module: str, path: Path) -> None:
    if "subprocess" in {name.partition(".")[0] for name in imported(path)}:
        assert module in SUBPROCESS_DOORS, f"{module} must start programs through {package_door(module)}"


def test_only_the_extra_s_module_knows_oras() -> None:
    assert [
        module
        for module, path in modules()
        if {"oras", "requests"} & {name.partition(".")[0] for name in imported(path)}
    ] == ["bundles.registry.orasclient"]


def test_one_module_knows_container_engines() -> None:
    assert [
        module
        for module, path in modules()
        if "python_on_whales" in {name.partition(".")[0] for name in imported(path)}
    ] == ["builder.engine.door"]


def test_one_module_speaks_http_to_registries() -> None:
    assert [
        module for module, path in modules() if "urllib3" in {name.partition(".")[0] for name in imported(path)}
    ] == ["bundles.registry.transport"]


@pytest.mark.parametrize(("module", "path"), modules(), ids=lambda value: value if isinstance(value, str) else "")
def test_pure_modules_touch_nothing(module: str, path: Path) -> None:
    if module not in PURE:
        return
    for name in imported(path):
        top = name.partition(".")[0]
        assert top not in DOORS, f"{module} is pure, {name} is a door to the world"
        if top in PACKAGES:
            assert name in PURE, f"{module} is pure, {name} is not"


def test_the_table_of_pure_modules_names_modules_that_exist() -> None:
    assert {name for name, _ in modules()} >= PURE


def package_door(module: str) -> str:
    return f"{module.partition('.')[0]}.process"
