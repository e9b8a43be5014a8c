"""The files of a recipe, and of its base -> the recipe, or all their problems at once. Pure: bytes in, values out."""

import dataclasses
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.recipe import base as bases
from builder.recipe import convert, crosscheck, keys
from builder.recipe.base import Base
from builder.recipe.document import Document, read
from builder.recipe.model import Recipe
from bundles.errors import Problem, ProblemsError

OPTIONAL = {keys.CHARTS}


@dataclass(frozen=True, slots=True)
class Documents:
    """The read documents, by file name; cross-checked."""

    by_name: Mapping[str, Document]
    base: Path | None = None

    @property
    def problems(self) -> list[Problem]:
        """All problems: file by file in the order of the table, a base's file first, then by line."""
        return [problem for doc in self.by_name.values() for problem in sorted(doc.problems, key=_place)]


def read_documents(files: Mapping[str, bytes], base: Base | None = None) -> Documents:
    """File name -> bytes, of those that exist, and what was found of the base -> the documents with their problems.

    Raises nothing. A recipe that names a base, without which nothing can be said of the whole, is read as far as that.
    """
    bundle = read(files.get(keys.BUNDLE, b""), keys.BUNDLE, keys.FILES[keys.BUNDLE])
    if not bases.says_base(bundle):
        documents = _read_each(files, OPTIONAL)
    else:
        documents = _read_each(files, set(keys.FILES))
        if base is None or base.wrong is not None:
            wrong = base.wrong if base is not None and base.wrong is not None else ("the base is not at hand", "")
            if bases.named(bundle) is not None:
                documents[keys.BUNDLE].problem((bases.KEY,), *wrong)
            return Documents(documents)
        below = _read_each(base.files, OPTIONAL, base.text)
        bases.refuse_chain(below[keys.BUNDLE])
        documents = {name: bases.inherit(documents[name], below[name]) for name in keys.FILES}
    crosscheck.check(*(documents[name] for name in keys.FILES))
    return Documents(documents, base=base.folder if base is not None else None)


def _read_each(files: Mapping[str, bytes], optional: Collection[str], folder: str = "") -> dict[str, Document]:
    documents = {}
    for name, kind in keys.FILES.items():
        shown = f"{folder}/{name}" if folder else name
        if name in files:
            documents[name] = read(files[name], shown, kind)
        else:
            documents[name] = Document(name=shown, values={} if name in optional else None)
            if name not in optional:
                documents[name].problem((), "the file is missing")
    return documents


def make_recipe(folder: Path, documents: Documents) -> Recipe:
    """Documents -> the recipe; raises ProblemsError with every problem."""
    if documents.problems:
        raise ProblemsError(folder, documents.problems)
    bundle, components, images, charts = (documents.by_name[name].values for name in keys.FILES)
    recipe = convert.make_recipe(folder, bundle, components, images, charts)
    return dataclasses.replace(recipe, base=documents.base)


def parse_recipe(folder: Path, files: Mapping[str, bytes]) -> Recipe:
    """The folder (for messages and the recipe's own field) and file name -> bytes -> the recipe.

    Raises ProblemsError with every problem, each with file:line:key.
    """
    return make_recipe(folder, read_documents(files))


def _place(problem: Problem) -> tuple[str, int]:
    found = re.match(r"([^:]*):([0-9]+)", problem.where)
    return (found[1], int(found[2])) if found else (problem.where, 0)
