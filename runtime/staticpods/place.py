"""Manifests as files: the files a pod reads are found and hashed, and the manifest appears whole.

RKE2 v1.34, pkg/podtemplate/podtemplate.go (ReadFiles, hashFiles) and pkg/executor/staticpod/staticpod.go (writeFile,
removeTemplate). The kubelet watches the folder, so a temporary file never stands there.
"""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from bundles.errors import FormatError, MissingError
from runtime.folders import SECRET_MODE, ensure_folder, remove, write_through
from runtime.nodefiles import SECRET_FILE, read_file
from runtime.staticpods.model import PodSpec
from runtime.staticpods.render import Manifest, render

_REFERENCES: Final = {
    "clusters": ("cluster", ("certificate-authority",)),
    "users": ("user", ("client-key", "client-certificate")),
}


def compose(spec: PodSpec, *, path: Path, environment: Mapping[str, str]) -> Manifest:
    """Reads the files that `spec` names and renders its manifest for `path`.

    Raises MissingError for a file of `spec.files` or of a kubeconfig that is not there.
    """
    files = mounted_files(spec)
    digest = hashlib.sha256()
    for file in files:
        digest.update(_content(file))
    return render(spec, path=path, files=files, file_hash=digest.hexdigest(), environment=environment)


def place(manifest: Manifest) -> bool:
    """Gives the manifest its name; False when it stands there already. Mode 0600, by rename from one level up."""
    if read_file(manifest.path) == manifest.text.encode():
        return False
    ensure_folder(manifest.path.parent, SECRET_MODE)
    write_through(manifest.path, manifest.text.encode(), SECRET_FILE, manifest.path.parent.parent)
    return True


def withdraw(path: Path) -> None:
    """Takes a manifest away, so that the kubelet stops its pod. Missing is fine."""
    remove(path)


def placed_uid(path: Path) -> str | None:
    """The UID inside the manifest at `path`; None when there is no manifest, or none of ours."""
    data = read_file(path)
    if data is None:
        return None
    try:
        document = yaml.safe_load(data)
        uid = document["metadata"]["uid"]
    except (yaml.YAMLError, TypeError, KeyError):
        return None
    return uid if isinstance(uid, str) else None


def mounted_files(spec: PodSpec) -> tuple[Path, ...]:
    """The files to mount, sorted: those of `spec`, those that arguments name and that exist, and what a
    `--kubeconfig` refers to.
    """
    files = set(spec.files)
    for argument in spec.arguments:
        name, _, value = argument.partition("=")
        path = Path(value)
        if value.startswith("/") and path not in spec.unhashed and path.is_file():
            files.add(path)
            if name == "--kubeconfig":
                files.update(_kubeconfig_files(path))
    return tuple(sorted(files))


def _kubeconfig_files(path: Path) -> Iterable[Path]:
    try:
        document: Any = yaml.safe_load(_content(path))
        for section, (inner, keys) in _REFERENCES.items():
            for entry in document.get(section, ()):
                yield from (Path(entry[inner][key]) for key in keys if key in entry[inner])
    except (yaml.YAMLError, AttributeError, TypeError, KeyError) as exc:
        raise FormatError("not a kubeconfig", where=path) from exc


def _content(path: Path) -> bytes:
    if (data := read_file(path)) is None:
        raise MissingError("a static pod needs this file", where=path)
    return data
