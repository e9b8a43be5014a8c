"""The order of a reset: the daemon, its programs, pods, mounts, network, cgroups, settings, files; then a last look."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bundles.errors import MissingError, SealiftError
from runtime.daemon import leftovers
from runtime.daemon.actions import kernel
from runtime.daemon.journal import holder, only_daemon
from runtime.folders import remove
from runtime.layout import NodeLayout
from runtime.nodepaths import NodePaths
from runtime.reset import mounts, network, tasks, traces

PROGRAMS: Final = ("kubelet", "containerd")
SHIMS: Final = ("containerd-shim", "containerd-shim-runc-v1", "containerd-shim-runc-v2")
_CGROUPS: Final = Path("/sys/fs/cgroup")
_PODS: Final = ("kubepods", "kubepods.slice")
_SECONDS: Final = 60.0
_ROUNDS: Final = 20  # rounds of a tenth of a second until cgroups are empty


@dataclass(slots=True)
class Report:
    """What was done, in words with numbers, and what is left although it should not be."""

    done: dict[str, int] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)


async def reset(
    layout: NodeLayout,
    paths: NodePaths,
    *,
    bundles_too: bool,
    environment: Mapping[str, str],
    say: Callable[[str], None],
) -> Report:
    """Makes the machine what it was.

    Args:
        layout: the data directory.
        paths: the same, and the places outside of it.
        bundles_too: also what `stage` brought: kept bundles and agent/images.
        environment: for the few programs of the machine that are run.
        say: takes one line of talk at a time.

    Raises MissingError when there is no data directory, SealiftError when this is not root, or the daemon does not end.
    """
    if os.geteuid() != 0:
        raise SealiftError("only root can reset a node")
    if not layout.data.is_dir():
        raise MissingError("no such data directory", where=layout.data)
    await _stop_daemon(layout, say)
    report = Report()
    with only_daemon(layout):
        found = tasks.read_tasks(paths.state)
        report.done["programs"] = await asyncio.to_thread(end_programs, layout, report)
        report.done["pod processes"] = await asyncio.to_thread(end_pods, layout, found, report)
        await _network(paths, environment, found, report)
        folders = (str(paths.state.parent), str(paths.kubelet_root))
        report.done["mounts"] = await mounts.unmount(environment, folders, _namespaces(found))
        report.done["cgroups"] = await _remove_cgroups()
        report.done["kernel settings"] = len(kernel.restore(layout))  # before the file goes that says what they were
        _remove_files(layout, paths, found, bundles_too, report)
        _forget(layout, bundles_too)
    if bundles_too:
        _remove_data(layout, report)
    _look_again(layout, paths, found, report)
    return report


async def _stop_daemon(layout: NodeLayout, say: Callable[[str], None]) -> None:
    pid = holder(layout)
    if not pid:
        return
    say(f"stopping the daemon, process {pid}")
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGTERM)  # it holds the lock, so the number is still its own
    for _ in range(int(_SECONDS * 10)):
        if holder(layout) is None:
            return
        await asyncio.sleep(0.1)
    raise SealiftError("the daemon does not end", got=f"process {pid}", hint="look at its journal, then kill it")


def end_programs(layout: NodeLayout, report: Report) -> int:
    """Ends the kubelet and containerd of an earlier run; returns how many there were."""
    found = leftovers.of_node(leftovers.processes(), layout, PROGRAMS)
    for left in sorted(found, key=lambda process: PROGRAMS.index(process.program.name)):
        if not leftovers.end(left, signal.SIGTERM) and not leftovers.end(left, signal.SIGKILL):
            report.left.append(f"process {left.pid}, {left.program.name}")
    return len(found)


def end_pods(layout: NodeLayout, found: Iterable[tasks.Task], report: Report) -> int:
    """Shims and all below them; and containers whose shim is gone, by the pid that their task folder names."""
    shims = [process.pid for process in leftovers.of_node(leftovers.processes(), layout, SHIMS)]
    orphans = [task.pid for task in found if task.pid and tasks.runs_in(task.pid, task.id)]
    handles: dict[int, int] = {}
    # Children appear while we look: once more after the first signals, until nothing new is found.
    for _ in range(5):
        fresh = [pid for pid in tasks.descendants([*shims, *orphans]) if pid not in handles]
        if not fresh:
            break
        for pid in fresh:
            with contextlib.suppress(ProcessLookupError):
                handles[pid] = os.pidfd_open(pid)
                signal.pidfd_send_signal(handles[pid], signal.SIGKILL)
    for pid, handle in handles.items():
        if not leftovers.ended(handle):
            report.left.append(f"process {pid}")
        os.close(handle)
    return len(handles)


async def _network(
    paths: NodePaths, environment: Mapping[str, str], found: Iterable[tasks.Task], report: Report
) -> None:
    rules = network.find_filter(environment, paths.containerd_root)
    if rules is not None:
        report.done["rule sets"] = await rules.clean()
    for path in _namespaces(found):
        await mounts.unmount(environment, (), (path,))
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    try:
        report.done["interfaces"] = await network.remove_links(environment)
    except SealiftError as exc:
        report.left.append(f"interfaces: {exc}")


def _namespaces(found: Iterable[tasks.Task]) -> tuple[str, ...]:
    return tuple(sorted({task.netns for task in found if task.netns}))


async def _remove_cgroups() -> int:
    count = 0
    for _ in range(_ROUNDS):
        count += _rmdir_all(pod_cgroups())
        if not pod_cgroups():
            break
        await asyncio.sleep(0.1)  # a cgroup stays busy for a moment after its last process
    return count


def pod_cgroups() -> list[Path]:
    """Roots of pods' cgroups: version 2, or one per controller of version 1; as this process sees them."""
    tops = [_CGROUPS, *(path for path in _CGROUPS.iterdir() if path.is_dir())] if _CGROUPS.is_dir() else []
    return [top / name for top in tops for name in _PODS if (top / name).is_dir()]


def _rmdir_all(roots: Iterable[Path]) -> int:
    count = 0
    for root in roots:
        for path, _, _ in os.walk(root, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(path)
                count += 1
    return count


def _remove_files(
    layout: NodeLayout, paths: NodePaths, found: Iterable[tasks.Task], bundles_too: bool, report: Report
) -> None:
    for task in found:
        runc = Path("/run/containerd/runc/k8s.io", task.id)
        for path in (*([Path(task.socket)] if task.socket else []), runc):
            remove(path)
    before = traces.read_before(layout)
    report.left += traces.clear(before.folders if before else {})
    if why := mounts.remove_unmounted(paths.state):
        report.left.append(why)
    remove(layout.pulled)
    for path in (paths.admin_kubeconfig, paths.pod_security, paths.node_password):
        remove(path)
        for parent in path.parents[:2]:
            with contextlib.suppress(OSError):
                parent.rmdir()  # only when empty
    kept = set() if bundles_too else {layout.images, layout.admitted, *_ours(layout)}
    for path in (layout.data / "agent", layout.server, layout.versions, layout.bin_link):
        _remove_but(path, kept, report)


def _remove_data(layout: NodeLayout, report: Report) -> None:
    """The folder itself stays where it is a disk of its own."""
    report.left += [why for name in os.listdir(layout.data) if (why := mounts.remove_unmounted(layout.data / name))]
    with contextlib.suppress(OSError):
        layout.data.rmdir()


def _ours(layout: NodeLayout) -> tuple[Path, ...]:
    """Removed last: what they say is needed until then."""
    return (kernel.before_path(layout), layout.admitted.with_name("daemon.lock"))


def _remove_but(path: Path, kept: set[Path], report: Report) -> None:
    if path in kept:
        return
    if path.is_dir() and not path.is_symlink() and any(path in keep.parents for keep in kept):
        for name in os.listdir(path):
            _remove_but(path / name, kept, report)
    elif why := mounts.remove_unmounted(path):
        report.left.append(why)


def _forget(layout: NodeLayout, bundles_too: bool) -> None:
    for path in _ours(layout):
        remove(path)


def _look_again(layout: NodeLayout, paths: NodePaths, found: Iterable[tasks.Task], report: Report) -> None:
    """What is still there, whoever should have removed it."""
    for process in leftovers.of_node(leftovers.processes(), layout, (*PROGRAMS, *SHIMS)):
        report.left.append(f"process {process.pid}, {process.program.name}")
    folders = (str(paths.state.parent), str(paths.kubelet_root))
    report.left += [f"mount {point}" for point in mounts.read_mounts(folders, _namespaces(found))]
    report.left += [f"interface {name}" for name in network.links_left()]
    report.left += [f"cgroup {path}" for path in pod_cgroups()]
