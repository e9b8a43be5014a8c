"""Plain values of a recipe's four files -> the recipe. The values have passed the table and the cross-checks."""

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from builder.recipe import elsewherekind, mirrorkind, publishedchart, urlkind
from builder.recipe.choices import make_choices
from builder.recipe.keys import DEFAULT_RUNTIME
from builder.recipe.model import (
    CHARTS,
    DEFAULT_LEVEL,
    AssembleImage,
    Chart,
    CompileComponent,
    Component,
    DebComponent,
    FileComponent,
    Fips,
    Flavour,
    FolderChart,
    GoComponent,
    Image,
    Placement,
    Recipe,
    UserlandComponent,
)
from bundles.platform import Platform
from bundles.reference import Reference

VERSION_WORD = re.compile(r"\$version(?![A-Za-z0-9_])")
_UNITS = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
Values = Mapping[str, Any]


def make_recipe(folder: Path, bundle: Values, components: Values, images: Values, charts: Values) -> Recipe:
    """The folder it was read from and the values of its files -> the recipe."""
    flavour = Flavour(bundle.get("flavour", Flavour.CLASSIC))
    runtime = bundle.get("runtime", DEFAULT_RUNTIME)
    # The tag is a rule of the model; a recipe without images knows it already.
    skeleton = Recipe(
        folder=folder,
        name=bundle["name"],
        version=bundle["version"],
        flavour=flavour,
        sequence=bundle["sequence"],
        platforms=tuple(map(Platform.parse, bundle["platforms"])),
        components={name: make_component(name, values) for name, values in components.items()},
        images={},
        charts={name: make_chart(name, charts[name]) for name in bundle.get("charts", list(charts))},
        archives={name: tuple(members) for name, members in bundle["archives"].items()},
        runtime=runtime,
        go=bundle.get("go"),
        fips=Fips(bundle.get("fips", Fips.OFF)),
        buildroot=bundle.get("buildroot"),
        budget=size_of(bundle["budget"]) if "budget" in bundle else None,
        expires_days=int(bundle["expires"].split()[0]) if "expires" in bundle else None,
        level=bundle.get("level", DEFAULT_LEVEL),
        helm=bundle.get("helm"),
        asks={who: tuple(names) for who, names in bundle.get("asks", {}).items()},
        choices=make_choices(bundle),
    )
    made = {name: make_image(name, values, skeleton) for name, values in images.items()}
    return dataclasses.replace(skeleton, images=made)


def size_of(text: str) -> int:
    """`700 MB` -> bytes."""
    number, unit = re.fullmatch(r"([0-9]+) ?([A-Za-z]+)", text).groups()  # type: ignore[union-attr] # keys.SIZE matched
    return int(number) * _UNITS[unit]


def source_of(values: Values) -> str:
    """The text that says where a component comes from; "" when it had a problem."""
    kinds = ("go", "compile", "deb", "file", "url")
    return next((str(values[kind]) for kind in kinds if values.get(kind)), "")


def version_of(values: Values) -> str:
    """A component's own version: after @ or = of its source, or its `version` key; "" when none is said."""
    source = source_of(values)
    if urlkind.own_version(source):
        return str(values.get("version") or "")
    return source.partition("@")[2] or source.partition("=")[2]


def named(paths: list[str] | Mapping[str, str]) -> dict[str, str]:
    """A list of paths, or name -> path, -> name -> path; listed paths are named by their last part."""
    return dict(paths) if isinstance(paths, Mapping) else {PurePosixPath(path).name: path for path in paths}


def packages_of(values: Values) -> dict[str, str]:
    """`build` and `from` of a Go component -> program -> package below the module ("" is its root)."""
    build = values["build"]
    if isinstance(build, Mapping):
        return {name: "" if path == "." else path for name, path in build.items()}
    if "from" not in values:
        return dict.fromkeys(build, "")
    return {name: str(PurePosixPath(values["from"]) / name) for name in build}


def output_names(values: Values) -> list[str]:
    """The files a component makes, by name; the values may be half wrong: what cannot be known is left out."""
    if values.get("file"):
        return [PurePosixPath(values["file"]).name]
    if "userland" in values:
        return _userland_paths(values)
    if "url" in values or "image" in values:
        return urlkind.output_names(values)
    listed = values.get("build") or values.get("output") or values.get("files") or []
    names = list(listed) if isinstance(listed, Mapping) else [text for text in listed if text]
    return [PurePosixPath(name).name for name in names]


def make_component(name: str, values: Values) -> Component:
    """One entry of components.yaml -> its component, `$version` substituted."""
    version = version_of(values)
    if "go" in values:
        return _go(name, version, values)
    if "compile" in values:
        return CompileComponent(
            name=name,
            source=urlkind.with_version(values["compile"], version),
            version=version,
            run=tuple(_with_version(command, version) for command in values["run"]),
            output={file: PurePosixPath(path) for file, path in named(values["output"]).items()},
            needs=tuple(values.get("needs", ())),
            static=values.get("static", True),
            witness=urlkind.make_witness(values, version),
        )
    if "url" in values:
        return urlkind.make_url(name, values)
    if "image" in values:
        return urlkind.make_image_files(name, values)
    if "deb" in values:
        paths = {file: PurePosixPath(path.lstrip("/")) for file, path in named(values["files"]).items()}
        package = values["deb"].partition("=")[0]
        return DebComponent(
            name=name, package=package, version=version, files=paths, static=values.get("static", False)
        )
    if "userland" in values:
        return UserlandComponent(
            name=name,
            packages=tuple(values["userland"]),
            files=tuple(values["files"]),
            links={path: tuple(names) for path, names in values.get("links", {}).items()},
        )
    mode = 0o755 if values.get("executable") else 0o644
    return FileComponent(name=name, path=PurePosixPath(values["file"]), version=version, mode=mode)


def link_path(target: str, link: str) -> str:
    """Where a link lies: `bin/busybox`, `sh` -> `bin/sh`; `/usr/bin/env` -> `usr/bin/env`."""
    return link.lstrip("/") if link.startswith("/") else str(PurePosixPath(target).parent / link)


def _userland_paths(values: Values) -> list[str]:
    """The paths of files and links that are known before the packages are read."""
    files = [path for path in values.get("files") or () if path and "*" not in path and not path.endswith("/")]
    links = values.get("links") or {}
    return files + [link_path(target, link) for target, names in links.items() for link in names or () if link]


def _go(name: str, version: str, values: Values) -> GoComponent:
    local = values["go"].startswith("./")
    own = values.get("fips", "")
    return GoComponent(
        name=name,
        module=None if local else values["go"].partition("@")[0],
        version=version,
        folder=PurePosixPath(values["go"]) if local else None,
        packages=packages_of(values),
        stamps={symbol: _with_version(text, version) for symbol, text in values.get("stamp", {}).items()},
        tags=tuple(values.get("tags", ())),
        cgo=values.get("cgo", False),
        needs=tuple(values.get("needs", ())),
        sumdb=values.get("sumdb", True),
        unverified=tuple(values.get("unverified", ())),
        replace=dict(values.get("replace", {})),
        static=values.get("static", True),
        fips=Fips(own.partition(" ")[0]) if own else None,
        fips_reason=own.partition(" because ")[2],
    )


def make_image(name: str, values: Values, recipe: Recipe) -> Image:
    """One entry of images.yaml -> the image; the runtime image gets the recipe's tag."""
    if mirrorkind.KEY in values:
        return mirrorkind.make_mirror(name, values, recipe.version)
    if any(kind in values for kind in elsewherekind.KINDS):
        return elsewherekind.make(name, values, recipe.version)

    def text(value: str) -> str:
        return _with_version(value, recipe.version)

    reference = f"{values['name']}:{recipe.tag}" if name == recipe.runtime else text(values["name"])
    return AssembleImage(
        name=name,
        reference=Reference.parse(reference),
        layers=tuple(tuple(make_placements(layer)) for layer in values["layers"]),
        user=values.get("user", ""),
        entrypoint=tuple(values.get("entrypoint", ())),
        command=tuple(values.get("command", ())),
        environment={key: text(value) for key, value in values.get("environment", {}).items()},
        workdir=values.get("workdir", ""),
        labels={key: text(value) for key, value in values.get("labels", {}).items()},
    )


def make_placements(layer: Mapping[str, str]) -> list[Placement]:
    """`what: where` entries of a layer -> placements, in the recipe's order."""
    placements = []
    for what, where in layer.items():
        component, slash, output = what.partition("/")
        placed = Placement(component=component, output=output if slash else None, folder=PurePosixPath(where))
        placements.append(placed)
    return placements


def make_chart(name: str, values: Values) -> Chart:
    """One entry of charts.yaml -> the chart."""
    if "folder" not in values:
        return publishedchart.make(name, values)
    return FolderChart(
        name=name,
        folder=PurePosixPath(values["folder"]),
        bootstrap=values.get("bootstrap", False),
        take_ownership=values.get("take-ownership", False),
        discover=tuple(values.get("discover", ())),
    )


def placed_files(placement: Placement, outputs: Mapping[str, list[str]]) -> list[str]:
    """The paths in the image that a placement fills; none for charts, whose names are known later."""
    if placement.component == CHARTS:
        return []
    names = [placement.output] if placement.output else outputs.get(placement.component, [])
    return [str(placement.folder / name) for name in names]


def _with_version(text: str, version: str) -> str:
    return VERSION_WORD.sub(lambda _: version, text)
