"""What the table of keys cannot say: names that must exist, files that must not collide, rules between keys.

The values may be half wrong (None where the reader found a problem): what cannot be judged is passed over, so that
one mistake is told once.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from builder.recipe import choices, convert, elsewherekind, mirrorkind, publishedchart, urlkind
from builder.recipe.document import Document, near
from builder.recipe.keys import DEFAULT_RUNTIME
from builder.recipe.model import CHARTS
from bundles.errors import FormatError
from bundles.reference import Reference

Values = Mapping[str, Any]


def check(bundle: Document, components: Document, images: Document, charts: Document) -> None:
    """Adds the problems between the four documents to them."""
    _Checks(bundle, components, images, charts).all()


class _Checks:
    def __init__(self, bundle: Document, components: Document, images: Document, charts: Document) -> None:
        self.bundle, self.components, self.images, self.charts = bundle, components, images, charts
        self.top: Values = bundle.values or {}
        self.runtime = self.top.get("runtime") or DEFAULT_RUNTIME
        self.outputs = {name: convert.output_names(values or {}) for name, values in _entries(components)}

    def all(self) -> None:
        for name, values in _entries(self.components):
            if values is not None:
                self.component(name, values)
        if self.bundle.values is not None:
            self.archives()
            self.shipped_charts()
        self.image_names()
        for name, values in _entries(self.images):
            if values is not None:
                self.layers(name, values)
        self.asking()
        self.choosing()
        self.unused_components()

    def component(self, name: str, values: Values) -> None:
        doc = self.components
        if name == CHARTS:
            doc.problem((name,), "the name charts stands for all packaged charts", "choose another name")
        if "go" in values:
            self.go_component(name, values)
        urlkind.check(name, values, doc.problem)
        source = convert.source_of(values)
        if "version" in values and source and not urlkind.own_version(source):
            doc.problem((name, "version"), "the source says the version already", "remove the key")
        if source and values.get("version", "said by the source") is not None:
            self.version_words(name, values)
        names = convert.output_names(values)
        for twice in sorted({output for output in names if names.count(output) > 1}):
            doc.problem((name,), f"makes two files called {twice}", "name them: `output: {name: path}`")

    def go_component(self, name: str, values: Values) -> None:
        build, doc = values.get("build"), self.components
        if self.bundle.values is not None and "go" not in self.top:
            doc.problem((name, "go"), "bundle.yaml names no Go toolchain", "add `go: 1.26.8` to bundle.yaml")
        if isinstance(build, list) and len(build) > 1 and "from" not in values:
            hint = "add `from: cmd`, or write `build: {program: package}`"
            doc.problem((name, "build"), "several programs need to know their packages", hint)
        if isinstance(build, Mapping) and "from" in values:
            doc.problem((name, "from"), "`build` says the packages already", "remove `from`")

    def version_words(self, name: str, values: Values) -> None:
        known = bool(convert.version_of(values))
        stamps = {("stamp", key): text for key, text in (values.get("stamp") or {}).items()}
        runs = {("run", str(number)): text for number, text in enumerate(values.get("run") or ())}
        for path, text in [*stamps.items(), *runs.items()]:
            if text and convert.VERSION_WORD.search(text) and not known:
                hint = f"add `version: ...` to {name}"
                self.components.problem((name, *path), "$version, but the component has no version", hint)
            elif text and path[0] == "stamp" and "$" in convert.VERSION_WORD.sub("", text):
                self.components.problem((name, *path), "only $version is known here", "write the text out")

    def image_names(self) -> None:
        seen: dict[str, str] = {}
        for name, values in _entries(self.images):
            if values and values.get(mirrorkind.KEY):
                reference = mirrorkind.check(name, values, self.images.problem)
            elif values and any(values.get(kind) for kind in elsewherekind.KINDS):
                reference = elsewherekind.check(name, values, self.outputs, self.images.problem)
            elif text := (values or {}).get("name"):
                reference = self.reference(name, text)
            else:
                continue
            if reference is not None and seen.setdefault(reference.name, name) != name:
                self.images.problem((name, "name"), f"the image {seen[reference.name]} has this name already")

    def reference(self, name: str, text: str) -> Reference | None:
        runtime = name == self.runtime
        text = convert.VERSION_WORD.sub("v0", text)
        try:
            reference = Reference.parse(f"{text}:v0" if runtime else text)
        except FormatError as exc:
            hint = "the runtime image's tag is the bundle's version: leave it out" if runtime else f"want {exc.want}"
            self.images.problem((name, "name"), exc.message, hint)
            return None
        if reference.digest is not None:
            self.images.problem((name, "name"), "an image built here cannot know its digest", "leave it out")
        return reference

    def layers(self, name: str, values: Values) -> None:
        first: dict[str, str] = {}
        for number, layer in enumerate(values.get("layers") or ()):
            whole = {what: where for what, where in (layer or {}).items() if where}
            for what, placement in zip(whole, convert.make_placements(whole), strict=True):
                path = (name, "layers", str(number), what)
                if not self.known_files(path, placement.component, placement.output):
                    continue
                for file in convert.placed_files(placement, self.outputs):
                    if file in first:
                        self.images.problem(path, f"{file} is there already, from {first[file]}", "each file once")
                    first.setdefault(file, what)

    def known_files(self, path: tuple[str, ...], component: str, output: str | None) -> bool:
        if component == CHARTS:
            if output is not None:
                self.images.problem(path, "charts go into an image together", "write `charts: /charts`")
            return output is None
        if component not in self.outputs:
            hint = near(component, [*self.outputs, CHARTS])
            self.images.problem(path, f"no component {component}", hint)
            return False
        if output is not None and (names := self.outputs[component]) and output not in names:
            self.images.problem(path, f"{component} makes no file {output}", near(output, names))
            return False
        return True

    def archives(self) -> None:
        archives: Values = self.top.get("archives") or {}
        names = [name for name, _ in _entries(self.images)]
        first: dict[str, str] = {}
        for archive, members in archives.items():
            for number, image in enumerate(members or ()):
                path = ("archives", archive, str(number))
                if image and image not in names:
                    first[image] = archive
                    if self.images.values is not None:
                        self.bundle.problem(path, f"no image {image} in images.yaml", near(image, names))
                elif image and first.setdefault(image, archive) != archive:
                    hint = "each image goes into one archive"
                    self.bundle.problem(path, f"{image} is in {first[image]} already", hint)
        self.runtime_archive(archives, names)
        understood = archives and all(archives.values()) and first.keys() <= set(names)
        for name in names if understood else ():
            if name not in first and name != self.runtime and not self.images.leave_out(name):
                self.images.problem((name,), "in no archive of bundle.yaml", "add it to an archive, or remove it")

    def runtime_archive(self, archives: Values, names: list[str]) -> None:
        if self.runtime not in names:
            if self.images.values is not None:
                hint = near(self.runtime, names)
                self.bundle.problem(("runtime",), f"the runtime image {self.runtime} is not in images.yaml", hint)
            return
        if "layers" not in (self.images.values.get(self.runtime) or {"layers": None}):
            hint = "take its files with `image` components, and put them together here"
            self.bundle.problem(("runtime",), f"the runtime image {self.runtime} is not put together here", hint)
        holding = [name for name, members in archives.items() if self.runtime in (members or ())]
        if archives and not holding:
            self.bundle.problem(("archives",), f"no archive holds the runtime image {self.runtime}")
        for name in holding:
            if len(archives[name]) > 1:
                hint = "nodes look for it in an archive of its own"
                self.bundle.problem(("archives", name), f"{self.runtime} is not alone", hint)

    def shipped_charts(self) -> None:
        if self.charts.values is None:
            return
        for name, values in self.charts.values.items():
            publishedchart.check(name, values or {}, self.charts.problem)
        listed = self.top.get("charts")
        for number, name in enumerate(listed or ()):
            if name and name not in self.charts.values:
                hint = near(name, self.charts.values)
                self.bundle.problem(("charts", str(number)), f"no chart {name} in charts.yaml", hint)
        if listed is not None:
            for name in list(self.charts.values):
                if name not in listed and not self.charts.leave_out(name):
                    hint = "add it to `charts` of bundle.yaml, or remove it"
                    self.charts.problem((name,), "not among the bundle's charts", hint)

    def asking(self) -> None:
        names = [name for name, _ in _entries(self.images)]
        for who, wanted in (self.top.get("asks") or {}).items():
            for number, image in enumerate(wanted or ()):
                if image and image not in names and self.images.values is not None:
                    path = ("asks", who, str(number))
                    self.bundle.problem(path, f"no image {image} in images.yaml", near(image, names))
        helm = self.top.get("helm")
        if helm and self.components.values is not None and "helm" not in self.outputs.get(helm, []):
            self.bundle.problem(("helm",), f"no component {helm} that makes a file helm", near(helm, self.outputs))

    def choosing(self) -> None:
        archives: Values = self.top.get("archives") or {}
        runtime = [name for name, members in archives.items() if self.runtime in (members or ())]
        charts = list(self.top.get("charts") or self.charts.values or {})
        choices.check(self.top, runtime, charts, self.bundle.problem)

    def unused_components(self) -> None:
        images = [image for _, image in _entries(self.images)]
        made = [image for image in images if not image or "layers" in image]
        if not images or any(not image or not all(image.get("layers") or [None]) for image in made):
            return
        used = {what.partition("/")[0] for image in made if image for layer in image["layers"] for what in layer}
        used |= {self.top.get("helm"), *(image.get(elsewherekind.ARCHIVE) for image in images if image)}
        for name in self.outputs:
            if name not in used and name != CHARTS and not self.components.leave_out(name):
                self.components.problem((name,), "no image holds a file of it", "place it in images.yaml, or remove it")


def _entries(document: Document) -> Iterator[tuple[str, Values | None]]:
    yield from (document.values or {}).items()
