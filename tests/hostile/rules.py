"""The rules of bundle-format 6 by name, with the rows of the corpus that attack each. `python -m tests.hostile.rules`
rewrites docs/refusals.md."""

from collections import Counter
from pathlib import Path
from typing import Final

from bundles.files import write_atomic
from tests.hostile.corpus import ATTACKS

PAGE: Final = Path(__file__).resolve().parents[2] / "docs/refusals.md"
# profile, rule -> groups of attacks in the corpus
RULES: Final[tuple[tuple[str, str, tuple[str, ...]], ...]] = (
    ("both", "JSON: exact field names, no duplicates, no NaN, UTF-8, bounded depth, size and values",
     ("JSON that splits readers", "index as text", "sealed views", "records of the node")),
    ("both", "lengths, counts, ratios and depths are bounded before anything is allocated",
     ("counts and ratios", "compression", "folder")),
    ("sealed", "size of the envelope, format version", ("index as text",)),
    ("sealed", "platform of the index, of every image config, of programs in /bin",
     ("index against the bundle", "sealed layers")),
    ("sealed", "archive bytes against the index, every listed file, nothing else",
     ("index against the bundle", "folder", "packed")),
    ("sealed", "tar structure exactly as the writer's", ("sealed tar", "packed")),
    ("sealed", "manifest.json == index.json == bundle.json", ("sealed views", "index against the bundle")),
    ("sealed", "every blob's digest and every layer's diff id", ("sealed views", "sealed layers", "folder")),
    ("sealed", "the runtime layer's entries", ("sealed layers",)),
    ("foreign", "duplicate entries; climbing, absolute or `./` names; links and special files; sparse members",
     ("outer tar",)),
    ("foreign", "truncation, bytes after the end", ("outer tar", "compression")),
    ("foreign", "the two views agree; digests, sizes and diff ids; malformed tags; os/arch; one tag, one image",
     ("two views, digests, sizes", "references")),
    ("foreign", "layer entries that leave the tree or re-enter through links, duplicates, whiteouts",
     ("layer entries",)),
    ("foreign", "windows over 32 MiB, more than 10 000 members, an unpack ratio over 200",
     ("compression", "counts and ratios")),
    ("builder", "recipes: one reading of YAML, no path out of the folder", ("YAML", "paths of a recipe")),
    ("builder", "locks: every source pinned, no path out", ("lock",)),
    ("builder", "folders, charts, Go modules, Debian packages, programs",
     ("source folders", "Debian packages", "programs")),
    ("builder", "archives from URLs: tar in its packings, zip", ("an archive's files", "an archive's whole folder")),
    ("node", "configuration, records, manifests", ("node configuration", "records of the node", "manifests")),
    ("commands", "inspect, diff, pack", ("other commands",)),
)  # fmt: skip


def page() -> str:
    """docs/refusals.md."""
    counts = Counter(attack.rule for attack in ATTACKS)
    lines = [
        "# What is refused, and which attacks prove it",
        "",
        f"The corpus in `tests/hostile/` carries out {len(ATTACKS)} attacks in a child process. Each must end in an",
        "error of the right class that says what is wrong and where; nothing outside the given folder may change,",
        "nothing half-made may stay inside it, and no attack may take more than 60 seconds or 300 MB. Written by",
        "`python -m tests.hostile.rules`; a test compares.",
        "",
        "| reader | rule (bundle-format 6) | tests: groups of the corpus, and attacks in them |",
        "|---|---|---|",
    ]
    for reader, rule, groups in RULES:
        lines.append(f"| {reader} | {rule} | " + ", ".join(f"{group} ({counts[group]})" for group in groups) + " |")
    lines += [
        "",
        "Beside the corpus: signatures, rollback and expiry are in `tests/unit/bundles/test_trust*.py` and",
        "`test_verify_bundle.py`; files that change while they are read in `test_hostile_swaps.py` and",
        "`test_verify_bundle.py`; what names may do to a terminal in `test_hostile_terminal.py`; the comparison",
        "with `tarsafe` and `filter='data'` in `test_hostile_escapes.py` and `test_extraction_compared.py`; single",
        "flipped bits in `test_foreign_damage.py` and `test_sealed_verify.py`.",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    write_atomic(PAGE, page().encode())
