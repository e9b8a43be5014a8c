"""Finds and reads the files with credentials for registries; the environment is passed in."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from bundles.errors import LimitError, MissingError
from bundles.files import os_errors
from bundles.registry.credentials import MAX_FILE, AuthFile, Credentials, Helper, read_auth_file
from bundles.registry.place import Repository


class Keyring:
    """Credentials by repository; the files are read when the first registry asks for them."""

    def __init__(self, env: Mapping[str, str], helper: Helper) -> None:
        """`helper` runs credential helpers (the caller's process door)."""
        self._env, self._helper = env, helper
        self._files: tuple[AuthFile, ...] | None = None

    def __call__(self, repository: Repository) -> Credentials | None:
        """The credentials for a repository, None for none: those of the first file that has some."""
        if self._files is None:
            self._files = load_auth_files(self._env)
        for file in self._files:
            if (found := file.find(repository, self._helper)) is not None:
                return found
        return None


def load_auth_files(env: Mapping[str, str]) -> tuple[AuthFile, ...]:
    """REGISTRY_AUTH_FILE alone, else config.json in DOCKER_CONFIG alone, else those that `podman login` and `docker
    login` write, in the order of containers-auth.json(5).

    A file that REGISTRY_AUTH_FILE names has to be there: raises MissingError.
    """
    if named := env.get("REGISTRY_AUTH_FILE"):
        if not Path(named).exists():
            raise MissingError("no such file", where=named, hint="REGISTRY_AUTH_FILE names it")
        paths = [Path(named)]
    elif folder := env.get("DOCKER_CONFIG"):
        paths = [Path(folder) / "config.json"]
    else:
        paths = [path for path in _usual(env) if _is_ours(path)]
    return tuple(file for path in paths if (file := _load(path)) is not None)


def _usual(env: Mapping[str, str]) -> Iterator[Path]:
    runtime, home = env.get("XDG_RUNTIME_DIR"), env.get("HOME")
    yield Path(runtime, "containers/auth.json") if runtime else Path(f"/run/containers/{os.getuid()}/auth.json")
    if config := env.get("XDG_CONFIG_HOME") or (f"{home}/.config" if home else ""):
        yield Path(config, "containers/auth.json")
    if home:
        yield Path(home, ".docker/config.json")


def _is_ours(path: Path) -> bool:
    try:
        return path.exists()
    except PermissionError:  # below a folder of somebody else's
        return False


def _load(path: Path) -> AuthFile | None:
    with os_errors(path):
        if not path.exists():
            return None
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    if len(data) > MAX_FILE:
        raise LimitError("file too large", where=path, want=f"<= {MAX_FILE} bytes")
    return read_auth_file(data, where=path)
