"""Runs one command inside a build root. Started as a program of its own, by its path; imports nothing of ours.

    python -I -S enter.py SPEC -- COMMAND ...        SPEC: JSON, see `room.Room`

Namespaces for mounts, processes, network, hostname and IPC, and one for users where we are not root. In there: the root
read-only, the given folders at fixed places, a /dev of six devices, an empty /tmp, a /proc of the command's own, no
network, one hostname, no capability, and no way to get one. Addresses are laid out without randomness.

Exit code: the command's (128+N for signal N); 125 when the root cannot be entered; 127 when there is no such command.
Sources: namespaces(7), user_namespaces(7), mount(2), pivot_root(2), prctl(2), personality(2).
"""

import contextlib
import ctypes
import errno
import json
import os
import resource
import signal
import sys
from typing import Any

CANNOT_ENTER, NO_COMMAND = 125, 127
HOSTNAME = b"sealift"
_NEWNS, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET = (
    0x00020000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000,
)  # fmt: skip
_RDONLY, _NOSUID, _NODEV, _NOEXEC, _REMOUNT = 1, 2, 4, 8, 32
_NOATIME, _NODIRATIME, _BIND, _REC, _PRIVATE, _RELATIME = 1 << 10, 1 << 11, 1 << 12, 1 << 14, 1 << 18, 1 << 21
# statvfs flags -> mount flags. What the machine's mounts forbid cannot be allowed again in a user namespace.
_KEPT = {1: _RDONLY, 2: _NOSUID, 4: _NODEV, 8: _NOEXEC, 1024: _NOATIME, 2048: _NODIRATIME, 4096: _RELATIME}
_DETACH = 2
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_PDEATHSIG, _CAPBSET_DROP, _NO_NEW_PRIVS = 1, 24, 38
_NO_RANDOM_ADDRESSES = 0x0040000
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_STACK = 8 << 20  # bytes

libc = ctypes.CDLL(None, use_errno=True)


class CannotEnter(Exception):
    """What failed, and the system's word for it."""


def call(what: str, name: str, *arguments: Any) -> None:
    """A function of libc that says 0 for success."""
    if getattr(libc, name)(*arguments) != 0:
        raise CannotEnter(f"{what}: {os.strerror(ctypes.get_errno())}")


def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    """mount(2)."""
    words = [word.encode() for word in (source, target, kind)]
    call(f"mount {target}", "mount", *words, ctypes.c_ulong(flags), options.encode() or None)


def bind(source: str, target: str, *, writable: bool) -> None:
    """A folder or file at another place; never with setuid programs or devices."""
    mount(source, target, "", _BIND | _REC)
    kept = sum(flag for said, flag in _KEPT.items() if os.statvfs(target).f_flag & said)
    mount("", target, "", _REMOUNT | _BIND | _NOSUID | _NODEV | kept | (0 if writable else _RDONLY))


def unshare(root: bool) -> None:
    """New namespaces: as root in the machine's user namespace where that is allowed, else in one of our own."""
    flags = _NEWNS | _NEWPID | _NEWNET | _NEWUTS | _NEWIPC
    if root and libc.unshare(flags) == 0:
        with contextlib.suppress(PermissionError):  # root of a user namespace alone: user_namespaces(7), setgroups
            os.setgroups([])
        return
    user, group = os.geteuid(), os.getegid()
    if libc.unshare(flags | _NEWUSER) != 0:
        raise CannotEnter(f"unshare: {os.strerror(ctypes.get_errno())}")
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def furnish(root: str, binds: list[list[str]]) -> None:
    """The tree that the command will see, mounted over the root's folder."""
    mount("none", "/", "", _REC | _PRIVATE)
    mount(root, root, "", _BIND)
    mount("tmpfs", f"{root}/dev", "tmpfs", _NOSUID | _NOEXEC, "mode=755,size=1m")
    for name in _DEVICES:
        place = f"{root}/dev/{name}"
        os.close(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        mount(f"/dev/{name}", place, "", _BIND)
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        os.symlink(f"/proc/self/fd{target}", f"{root}/dev/{name}")
    mount("tmpfs", f"{root}/tmp", "tmpfs", _NOSUID | _NODEV, "mode=1777")
    mount("proc", f"{root}/proc", "proc", _NOSUID | _NODEV | _NOEXEC)
    for source, target, mode in binds:
        bind(source, root + target, writable=mode == "rw")
    kept = sum(flag for said, flag in _KEPT.items() if os.statvfs(root).f_flag & said)
    mount("", root, "", _REMOUNT | _BIND | _NOSUID | _NODEV | _RDONLY | kept)


def turn(root: str) -> None:
    """The furnished folder becomes /, and the machine's tree is let go of."""
    os.chdir(root)
    number = _PIVOT_ROOT.get(os.uname().machine)
    if number is None:
        raise CannotEnter(f"pivot_root: unknown machine {os.uname().machine}")
    if libc.syscall(number, b".", b".") != 0:
        raise CannotEnter(f"pivot_root: {os.strerror(ctypes.get_errno())}")
    call("umount", "umount2", b".", _DETACH)
    os.chdir("/")
    call("sethostname", "sethostname", HOSTNAME, len(HOSTNAME))
    call("setdomainname", "setdomainname", b"", 0)


def give_up_rights() -> None:
    """No capability after the next exec, nor any program that would bring one; one stack and one layout for all."""
    for capability in range(64):
        if libc.prctl(_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            break  # EINVAL: the kernel knows no more
    call("no_new_privs", "prctl", _NO_NEW_PRIVS, 1, 0, 0, 0)
    _, most = resource.getrlimit(resource.RLIMIT_STACK)
    resource.setrlimit(resource.RLIMIT_STACK, (_STACK if most < 0 else min(_STACK, most), most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc.personality(ctypes.c_ulong(_NO_RANDOM_ADDRESSES))
    os.umask(0o022)


def become(spec: dict[str, Any], argv: list[str]) -> None:
    """Turns this process into the command."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    if os.path.samestat(os.fstat(0), os.stat("/dev/null")):
        os.dup2(os.open("/dev/null", os.O_RDONLY), 0)  # the same device, by a name that exists in here
    os.chdir(spec["cwd"])
    give_up_rights()
    try:
        os.execvpe(argv[0], argv, spec["env"])
    except OSError as exc:
        print(f"{argv[0]}: {exc.strerror}", file=sys.stderr, flush=True)
        os._exit(NO_COMMAND)


def first_process(spec: dict[str, Any], argv: list[str]) -> int:
    """What process 1 of the new namespaces does: furnish, start the command, bury what it leaves, return its code."""
    libc.prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    furnish(spec["root"], spec["binds"])
    turn(spec["root"])
    command = os.fork()
    if command == 0:
        become(spec, argv)
    while True:
        ended, status = os.wait()
        if ended == command:
            return exit_code(status)


def exit_code(status: int) -> int:
    """As a shell tells it."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def guarded(work: Any) -> int:
    """The code of `work`, or 125 and the reason on stderr."""
    try:
        return int(work())
    except (CannotEnter, OSError) as exc:
        print(f"the build root cannot be entered: {exc}", file=sys.stderr, flush=True)
        return CANNOT_ENTER


def main() -> int:
    """Outside: namespaces, then wait. When we are killed, process 1 is too, and with it all that runs in there."""
    spec, argv = json.loads(sys.argv[1]), sys.argv[3:]
    libc.prctl(_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the command gets it too, and decides; its end is ours
    unshare(os.geteuid() == 0 and not spec.get("rootless", False))
    first = os.fork()
    if first == 0:
        os._exit(guarded(lambda: first_process(spec, argv)))
    while True:
        try:
            return exit_code(os.waitpid(first, 0)[1])
        except OSError as exc:
            if exc.errno != errno.EINTR:
                raise


if __name__ == "__main__":
    os._exit(guarded(main))
