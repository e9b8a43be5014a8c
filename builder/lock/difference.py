"""What changed between two locks, in words, for a commit message and for `lock --check`."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from builder.lock.elsewhere import image_source_changes
from builder.lock.imagediff import image_changes
from builder.lock.model import Lock, LockedChart, LockedInput, LockedSum, LockedTool


def difference(old: Lock, new: Lock) -> list[str]:
    """Two locks -> one line per change, in the order of lock.yaml; empty when they say the same."""
    return list(_all(old, new))


def _all(old: Lock, new: Lock) -> Iterator[str]:
    if old.bundle != new.bundle:
        yield f"bundle: {old.bundle} -> {new.bundle}"
    if old.recipe != new.recipe:
        yield "recipe: it says something else now"
    if old.epoch != new.epoch:
        yield f"epoch: {_day(old.epoch)} -> {_day(new.epoch)}"
    yield from _tools(old.tools, new.tools)
    yield from _inputs("build root ", old.buildroot, new.buildroot)
    yield from _inputs("", old.inputs, new.inputs)
    yield from _charts(old.charts, new.charts)
    yield from image_changes(old, new)
    yield from image_source_changes(old, new)


def _tools(old: tuple[LockedTool, ...], new: tuple[LockedTool, ...]) -> Iterator[str]:
    before, after = ({tool.source.partition(":")[0]: tool for tool in tools} for tools in (old, new))
    for name in sorted(before.keys() | after.keys()):
        one, two = before.get(name), after.get(name)
        if one is None:
            yield f"{name}: added {_rest(after[name].source)}"
        elif two is None:
            yield f"{name}: removed {_rest(one.source)}"
        elif one.source != two.source:
            yield f"{name}: {_rest(one.source)} -> {_rest(two.source)}"
        elif one != two:
            yield f"{name}: OTHER CONTENT under the same version {_rest(one.source)}"


def _inputs(prefix: str, old: tuple[LockedInput, ...], new: tuple[LockedInput, ...]) -> Iterator[str]:
    before, after = _by_component(old), _by_component(new)
    for key in sorted(before.keys() | after.keys()):
        one, two = before.get(key), after.get(key)
        name = f"{prefix}{key[0]}"
        if one is None:
            yield f"{name}: added {after[key].source}"
        elif two is None:
            yield f"{name}: removed {one.source}"
        else:
            yield from (f"{name}: {line}" for line in _input(one, two))


def _by_component(inputs: tuple[LockedInput, ...]) -> Mapping[tuple[str, str], LockedInput]:
    """By component, and by package where one component has several sources."""
    return {(each.component, each.source.partition(":")[0] + _package(each.source)): each for each in inputs}


def _package(source: str) -> str:
    """The part of a source that stays when its version changes."""
    rest = _rest(source)
    return rest.rpartition("@")[0] or rest.rpartition("=")[0].rpartition("/")[2] or ""


def _input(one: LockedInput, two: LockedInput) -> Iterator[str]:
    if one.source != two.source:
        yield f"{one.source} -> {two.source}"
    beside = one.source.startswith(("folder:", "file:"))
    if (one.h1, one.digest) != (two.h1, two.digest) and (beside or one.source == two.source):
        yield f"{_rest(one.source)} changed" if beside else f"OTHER CONTENT under the same version {one.source}"
    if one.source == two.source and one.files != two.files:
        yield from _files(one, two)
    yield from _sum(one.sum, two.sum)
    if one.signed != two.signed:
        before, now = (each.hex[:16] if each is not None else "nobody" for each in (one.signed, two.signed))
        yield f"signed by {before} -> {now}"
    if one.license != two.license:
        yield f"license: {one.license or 'unknown'} -> {two.license or 'unknown'}"


def _files(one: LockedInput, two: LockedInput) -> Iterator[str]:
    before, after = ({file.name: file for file in each.files} for each in (one, two))
    for name in sorted(before.keys() | after.keys()):
        if name not in before or name not in after:
            yield f"file {name} {'removed' if name in before else 'added'}"
        elif before[name] != after[name]:
            yield f"OTHER CONTENT of {name} under the same version"


def _sum(one: LockedSum | None, two: LockedSum | None) -> Iterator[str]:
    if one is None or two is None:
        if one != two:
            yield "modules: pinned now" if one is None else "modules: not pinned any more"
        return
    if one.folder != two.folder:
        yield f"modules: pinned in {two.folder}, before in {one.folder}"
    if one.digest != two.digest:
        count = f"{one.modules} -> {two.modules}" if one.modules != two.modules else f"{two.modules}"
        yield f"modules: {two.folder}/go.mod or go.sum changed ({count} modules)"
    for module in sorted({*two.unverified} - {*one.unverified}):
        yield f"module {module}: trust on first use, the checksum database does not know it"
    for module in sorted({*one.unverified} - {*two.unverified}):
        yield f"module {module}: verified by the checksum database now"


def _charts(old: tuple[LockedChart, ...], new: tuple[LockedChart, ...]) -> Iterator[str]:
    before, after = ({chart.name: chart for chart in charts} for charts in (old, new))
    for name in sorted(before.keys() | after.keys()):
        one, two = before.get(name), after.get(name)
        if one is None or two is None:
            yield f"chart {name}: {'added ' + after[name].version if one is None else 'removed ' + one.version}"
        elif one.version != two.version:
            yield f"chart {name}: {one.version} -> {two.version}"
        elif one.source != two.source:
            yield f"chart {name}: {one.source or 'a folder'} -> {two.source or 'a folder'}"
        elif one.digest != two.digest:
            yield f"chart {name}: changed under the same version {one.version}"


def _rest(source: str) -> str:
    return source.partition(":")[2]


def _day(epoch: int) -> str:
    """Seconds -> an ISO time in UTC; what no calendar knows stays a number."""
    try:
        return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return str(epoch)
