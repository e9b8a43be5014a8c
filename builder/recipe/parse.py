"""The four files of a recipe -> the recipe, or all their problems at once. Pure: bytes in, values out."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from builder.recipe import convert, crosscheck, keys
from builder.recipe.document import Document, read
from builder.recipe.model import Recipe
from bundles.errors import Problem, ProblemsError

OPTIONAL = {keys.CHARTS}


@dataclass(frozen=True, slots=True)
class Documents:
    """The read documents, by file name; cross-checked."""

    by_name: Mapping[str, Document]

    @property
    def problems(self) -> list[Problem]:
        """All problems: file by file in the order of the table, then by line."""
        return [problem for doc in self.by_name.values() for problem in sorted(doc.problems, key=_line)]


def read_documents(files: Mapping[str, bytes]) -> Documents:
    """File name -> bytes, of those that exist -> the documents with their problems. Raises nothing."""
    documents = {}
    for name, kind in keys.FILES.items():
        if name in files:
            documents[name] = read(files[name], name, kind)
        else:
            documents[name] = Document(name=name, values={} if name in OPTIONAL else None)
            if name not in OPTIONAL:
                documents[name].problem((), "the file is missing")
    crosscheck.check(*(documents[name] for name in keys.FILES))
    return Documents(documents)


def make_recipe(folder: Path, documents: Documents) -> Recipe:
    """Documents -> the recipe; raises ProblemsError with every problem."""
    if documents.problems:
        raise ProblemsError(folder, documents.problems)
    bundle, components, images, charts = (documents.by_name[name].values for name in keys.FILES)
    return convert.make_recipe(folder, bundle, components, images, charts)


def parse_recipe(folder: Path, files: Mapping[str, bytes]) -> Recipe:
    """The folder (for messages and the recipe's own field) and file name -> bytes -> the recipe.

    Raises ProblemsError with every problem, each with file:line:key.
    """
    return make_recipe(folder, read_documents(files))


def _line(problem: Problem) -> int:
    found = re.match(r"[^:]*:([0-9]+)", problem.where)
    return int(found[1]) if found else 0
