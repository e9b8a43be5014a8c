"""Licences are recognised word for word or not at all; nothing is guessed, nothing of a text is overlooked."""

import textwrap
from pathlib import Path

import pytest

from builder.describe.debcopyright import declared
from builder.describe.licences import combined, is_licence_file, recognised
from builder.describe.licencetexts import BODIES

ROOT = Path(__file__).resolve().parents[3]
APACHE = (ROOT / "LICENSE").read_text()
FORMAT = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n"


MIT = " ".join(BODIES["MIT"][0].replace("<6>", "authors or copyright holders").split())


@pytest.mark.parametrize(
    "text",
    [
        MIT,
        f"The MIT License (MIT)\n\nCopyright (c) 2014-2020 A. Person <a@example.test>\n\n{MIT}\n",
        f"MIT License\nCopyright 2020 The Tool Authors. All rights reserved.\n{textwrap.fill(MIT, 30).upper()}",
        f"# License\n\n(c) 2021 A Company\n\n> {MIT.replace(' as is ', ' *AS IS* ')}.",
    ],
)
def test_a_licence_is_known_by_its_words_whoever_owns_it_and_however_it_is_wrapped(text: str) -> None:
    assert recognised(text) == "MIT"


@pytest.mark.parametrize(
    "text",
    [
        "",
        MIT.replace("without restriction", "with restriction"),
        f"{MIT} The software must not be used for evil.",
        f"Only for members of the club: {MIT}",
        MIT.replace("authors or copyright holders", "authors who may ask for a fee of ten coins for each copy and day"),
        APACHE.replace("royalty-free", "royalty-bearing"),
        # A list has a `(c)` too: dropped as a notice of copyright, a changed term would not count.
        APACHE.replace("(c) You must retain", "(c) You must not retain"),
        f"{APACHE}\n{MIT}",
    ],
)
def test_a_text_with_other_words_is_no_known_licence(text: str) -> None:
    assert recognised(text) == ""


def test_long_licences_are_known_by_a_digest_with_and_without_their_appendix() -> None:
    terms, end, _ = APACHE.partition("END OF TERMS AND CONDITIONS")
    assert recognised(APACHE) == recognised(terms + end) == recognised(APACHE.replace("\n", "\r\n")) == "Apache-2.0"


@pytest.mark.parametrize(
    ("expressions", "want"),
    [
        (["MIT"], "MIT"),
        (["MIT", "MIT"], "MIT"),
        (["MIT", "Apache-2.0"], "Apache-2.0 AND MIT"),
        (["MIT", ""], ""),  # one file that nobody knows may say anything
        ([], ""),
        (["Apache-2.0 OR MIT", "Apache-2.0", "MIT"], "Apache-2.0 OR MIT"),
        (["Apache-2.0 OR MIT", "ISC"], "(Apache-2.0 OR MIT) AND ISC"),
    ],
)
def test_several_files_together(expressions: list[str], want: str) -> None:
    assert combined(expressions) == want


def test_which_files_hold_a_licence() -> None:
    yes = [
        "LICENSE",
        "LICENCE.txt",
        "License.md",
        "COPYING",
        "LICENSE-MIT",
        "LICENSE.BSD",
        "COPYING.LESSER",
        "UNLICENSE",
    ]
    no = ["README", "licenses.go", "LICENSE-3rdparty.csv", "license.go", "NOTICE", "PATENTS", "LICENSING"]
    assert [name for name in yes + no if is_licence_file(name)] == yes


def deb(*stanzas: str) -> str:
    return FORMAT + "".join(f"\n{textwrap.dedent(stanza).strip()}\n" for stanza in stanzas)


ONE = """
    Files: *
    Copyright: 2020 A. Person
    License: {}
     Words.
     .
      more
"""


@pytest.mark.parametrize(
    ("short", "want"),
    [
        ("Expat", "MIT"),
        ("GPL-2+", "GPL-2.0-or-later"),
        ("GPL-2.0+", "GPL-2.0-or-later"),
        ("LGPL-2.1", "LGPL-2.1-only"),
        ("GPL-2+ or LGPL-3+", "GPL-2.0-or-later OR LGPL-3.0-or-later"),
        ("BSD-3-clause and ISC", "BSD-3-Clause AND ISC"),
        ("GPL-3+ with Bison exception", "LicenseRef-debian-app-GPL-3-with-Bison-exception"),
        ("GPL-2+ or Expat and ISC", "LicenseRef-debian-app-GPL-2-or-Expat-and-ISC"),  # which binds? not ours to say
        ("MIT/X11", "LicenseRef-debian-app-MIT-X11"),
        ("Beer, and more", "LicenseRef-debian-app-Beer-and-more"),
    ],
)
def test_the_names_of_debian_become_identifiers_or_references_with_their_text(short: str, want: str) -> None:
    found = declared(deb(ONE.format(short)), "app")
    assert found.expression == want
    assert dict(found.texts) == ({want: "Words.\n\n more"} if want.startswith("LicenseRef") else {})


def test_every_files_stanza_counts_and_texts_may_stand_alone() -> None:
    text = deb(
        "Files: *\nLicense: GPL-2+ or Expat",
        "Files: a\nLicense: own",
        "Files: debian/*\nLicense: ISC",
        "License: own\n my words",
        "License: unused\n nobody's",
    )
    found = declared(text, "a+b")
    assert found.expression == "(GPL-2.0-or-later OR MIT) AND ISC AND LicenseRef-debian-a-b-own"
    assert dict(found.texts) == {"LicenseRef-debian-a-b-own": "my words"}


@pytest.mark.parametrize(
    "text",
    ["", "This is free software.\n", "Format: something else\n\nFiles: *\nLicense: Expat\n", FORMAT,
     deb("Files: *\nLicense: own"), deb("Files: *\nLicense: Expat", "Files: a\nLicense: own, other")],
)  # fmt: skip
def test_a_copyright_file_that_is_not_understood_whole_says_nothing(text: str) -> None:
    assert declared(text, "app").expression == ""
