"""Finds and reads the files with credentials for registries; the environment is passed in."""

from collections.abc import Mapping
from pathlib import Path

from bundles.errors import LimitError, MissingError
from bundles.files import os_errors
from bundles.registry.credentials import MAX_FILE, AuthFile, Credentials, Helper, read_auth_file
from bundles.registry.place import Repository


class Keyring:
    """Credentials by repository; the file is read when the first registry asks for them."""

    def __init__(self, env: Mapping[str, str], helper: Helper) -> None:
        """`helper` runs credential helpers (the caller's process door)."""
        self._env, self._helper = env, helper
        self._file: AuthFile | None = None

    def __call__(self, repository: Repository) -> Credentials | None:
        """The credentials for a repository, None for none."""
        if self._file is None:
            self._file = load_auth_file(self._env)
        return self._file.find(repository, self._helper)


def load_auth_file(env: Mapping[str, str]) -> AuthFile:
    """REGISTRY_AUTH_FILE, else config.json in DOCKER_CONFIG, else ~/.docker/config.json; missing: nobody's.

    A file that the environment names has to be there: raises MissingError.
    """
    if named := env.get("REGISTRY_AUTH_FILE"):
        path = Path(named)
        if not path.exists():
            raise MissingError("no such file", where=path, hint="REGISTRY_AUTH_FILE names it")
    elif folder := env.get("DOCKER_CONFIG"):
        path = Path(folder) / "config.json"
    elif home := env.get("HOME"):
        path = Path(home) / ".docker/config.json"
    else:
        return AuthFile()
    with os_errors(path):
        if not path.exists():
            return AuthFile()
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    if len(data) > MAX_FILE:
        raise LimitError("file too large", where=path, want=f"<= {MAX_FILE} bytes")
    return read_auth_file(data, where=path)
