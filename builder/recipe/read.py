"""The recipe's door to files: a folder -> the recipe, with the paths it names checked."""

import difflib
from pathlib import Path, PurePosixPath

from builder.errors import RecipeError
from builder.recipe import base as bases
from builder.recipe import keys, parse
from builder.recipe.base import Base
from builder.recipe.document import Document, read
from builder.recipe.model import Recipe
from builder.recipe.places import overlaid
from builder.recipe.yamlnodes import MAX_SIZE
from bundles.files import os_errors

LOCK = "lock.yaml"


def read_recipe(folder: Path) -> Recipe:
    """Reads bundle.yaml, components.yaml, images.yaml and charts.yaml of a folder, and those of the base it names.

    Raises RecipeError when the folder is none of a recipe, ProblemsError with all problems otherwise, SealiftError
    for files that cannot be read.
    """
    return parse.make_recipe(folder, recipe_documents(folder))


def recipe_documents(folder: Path) -> parse.Documents:
    """The same files as documents, with the line of each key and their problems; raises RecipeError, SealiftError."""
    if not folder.is_dir():
        raise RecipeError("no such folder", where=folder, hint="a recipe is a folder with bundle.yaml")
    if not (folder / keys.BUNDLE).is_file():
        hint = "name the folder that holds bundle.yaml" + _below(folder)
        raise RecipeError("not a recipe: bundle.yaml is missing", where=folder, hint=hint)
    files = _files(folder)
    documents = parse.read_documents(files, find_base(folder, files[keys.BUNDLE]))
    for document in documents.by_name.values():
        _check_paths(folder, documents.base, document)
    bundle = documents.by_name[keys.BUNDLE]
    _refuse_unknown_files(folder, bundle)
    if documents.base is not None:
        _refuse_unknown_files(documents.base, bundle, f"{bundle.values[bases.KEY]}/")
    return documents


def find_base(folder: Path, bundle: bytes) -> Base | None:
    """The base that a recipe's bundle.yaml names, looked for beside its folder; None when it names none.

    What is wrong with it is in the value. Raises SealiftError for files that cannot be read.
    """
    text = bases.named(read(bundle, keys.BUNDLE, keys.FILES[keys.BUNDLE]))
    if text is None:
        return None
    here = folder.resolve()
    place = here.parent / text.removeprefix("../")
    wrong = None
    if place == here:
        wrong = ("a recipe cannot be its own base", "")
    elif not (place / keys.BUNDLE).is_file():
        wrong = (f"no recipe {text}", "a base is a recipe's folder beside this one" + _below(here.parent))
    elif place.resolve() != place:
        wrong = (f"{text} is a symlink", "symlinks are not followed: name the folder itself")
    if wrong is not None:
        return Base(text=text, folder=place, wrong=wrong)
    return Base(text=text, folder=place, files=_files(place))


def _files(folder: Path) -> dict[str, bytes]:
    return {name: read_limited(folder / name) for name in keys.FILES if (folder / name).is_file()}


def read_limited(path: Path) -> bytes:
    """A small file's bytes; one byte over the limit is read, so that the parser can refuse it."""
    with os_errors(path), path.open("rb") as file:
        return file.read(MAX_SIZE + 1)


def _below(folder: Path) -> str:
    with os_errors(folder):
        found = sorted(child.name for child in folder.iterdir() if (child / keys.BUNDLE).is_file())
    return f": {', '.join(found)}" if found else ""


def _refuse_unknown_files(folder: Path, bundle: Document, shown: str = "") -> None:
    """A misspelled `image.yaml` would else be silently no part of the recipe."""
    with os_errors(folder):
        names = sorted(path.name for path in folder.iterdir() if path.suffix in (".yaml", ".yml"))
    known = [*keys.FILES, LOCK]
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
            hint = f"did you mean {close[0]}?" if close else f"a recipe's files: {', '.join(known)}"
            bundle.problem((), f"{shown}{name} is no file of a recipe", hint)


_PATHS = (
    ("go", "go.mod"),
    ("compile", ""),
    ("file", None),
    ("key", None),
    ("folder", "Chart.yaml"),
    ("archive", None),
    ("engine", ""),
)


def _check_paths(folder: Path, base: Path | None, document: Document) -> None:
    """Adds a problem for every path beside the recipe that is not there, not of its kind, or leads out."""
    for name, values in (document.values or {}).items():
        if not isinstance(values, dict) or document.name == keys.BUNDLE:
            continue
        for key, want in _PATHS:
            text = values.get(key)
            if not isinstance(text, str) or not (text.startswith("./") or key == "folder"):
                continue
            root = base if base is not None and overlaid(folder, base, text) == base / text else folder
            if wrong := _wrong_path(root, PurePosixPath(text), want):
                document.problem((name, key), *wrong)


def _wrong_path(folder: Path, path: PurePosixPath, want: str | None) -> tuple[str, str] | None:
    """`want` is a file that the folder must hold, "" for any folder, None for a file."""
    full = folder / path
    try:
        inside = full.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):
        inside = False
    if not inside:
        return f"{path} leads out of the recipe's folder", "copy it into the folder: symlinks are not followed"
    if want is None:
        return None if full.is_file() else (f"no file {path}", f"looked in {folder}")
    if not full.is_dir():
        return f"no folder {path}", f"looked in {folder}"
    if want and not (full / want).is_file():
        return f"{path} holds no {want}", ""
    return None
