"""Inputs that once broke a promise: each is taken or refused now, by the target that found it."""

import base64
import importlib

import msgspec
import pytest

from builder.facts.elf import elf_facts
from bundles import index
from bundles.consistency import check_index
from bundles.digest import Digest
from bundles.errors import FormatError
from bundles.sealed.entries import EntryScan
from tests.fuzz import examples
from tests.fuzz.tar_readers import READERS
from tests.fuzz.targets.build import dynamic_program
from tests.support import tars
from tests.support.hostile import LAYERS
from tests.support.releases import program

# What broke -> (target, input in base64)
FINDINGS: dict[str, tuple[str, str]] = {
    "a key of a curve that nobody knows": (
        "node",
        "Ai0tLS0tQkVHSU4gRUMgUFJJVkFURSBLRVktLS0tLQpNSGNDQVFFRUlBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFI"
        "b0FvR0NDcUdTTTI0CkF3RUhvVVFEUWdBRWpsTTdiNkMvZTBZbHV6Qm1mQUg3WUg3NStMaW9EKzliTUFZb2NER0hzcU56NngyOTRETVkKTm0w"
        "R240T205WkFBVThjMk04c0VHeUhGWGhxR3dmUUF0QT09Ci0tLS0tRU5EIEVDIFBSSVZBVEUgS0VZLS0tLS0K",
    ),
    "a key that OpenSSL refuses with an error of its own": (
        "trust",
        "Bi0tLS0tQkVHSU4gUFJJVkFURSBLRVktLS0tLQpNQzRDQVFBd0JRWURLMlZ4QkNJRUlBQUJBZ01FQlFZSENBa0tDd3dORGc4UUVSSVRGQlVXRnhn"
        "Wkdoc2NIUjRmCi0tLS0tRU5EIFBSSVZBVEUgS0VZLS0tLS0K",
    ),
    "a certificate of a version that there is not": (
        "node",
        "Ai0tLS0tQkVHSU4gQ0VSVElGSUNBVEUtLS0tLQpNSUlCdHpDQ0FWNmdBd0lCSWdJQkFUQUtCZ2dxaGtqT1BRUURBakFrTVNJd0lBWURWUVFEREJs"
        "eWEyVXlMV05zCmFXVnVkQzFqWVVBeE56Y3lNelkyTkRBd01CNFhEVEkyTURNd01URXhNREF3TUZvWERUSTNNRE13TVRFeU1EQXcKTUZvd01ERVhN"
        "QlVHQTFVRUNnd09jM2x6ZEdWdE9tMWhjM1JsY25NeEZUQVRCZ05WQkFNTURITjVjM1JsYlRwaApaRzFwYmpCWk1CTUdCeXFHU000OUFnRUdDQ3FH"
        "U000OUF3RUhBMElBQkk1VE8yK2d2M3RHSmJzd1pud0IrMkIrCitmaTRxQS92V3pBR0tIQXhoN0tqYytzZHZlQXpHRFp0QnArRHB2V1FBRlBITmpQ"
        "TEJCc2h4VjRhaHNIMEFMU2oKZFRCek1CMEdBMVVkRGdRV0JCVE0wclBxOVpDSWFiQ2g2c2c5YllsWmhqR2J6VEFNQmdOVkhSTUJBZjhFQWpBQQpN"
        "QTRHQTFVZER3RUIvd1FFQXdJRm9EQVRCZ05WSFNVRUREQUtCZ2dyQmdFRkJRY0RBakFmQmdOVkhTTUVHREFXCmdCVE0wclBxOVpDSWFiQ2g2c2c5"
        "YllsWmhqR2J6VEFLQmdncWhrak9QUVFEQWdOSEFEQkVBaUJMNVFacEVmdTYKd0tYcy8zaGQzaUovL2V6WTNKWVpTTHBXZnRFY216ZGNyd0lnSHBN"
        "M0syY2U0b2J4WkRWY0E2bXpxUHo0alMxRQptK0s1bXRmd0l1RCtSODg9Ci0tLS0tRU5EIENFUlRJRklDQVRFLS0tLS0KLS0tLS1CRUdJTiBDRVJU"
        "SUZJQ0FURS0tLS0tCk1JSUJlakNDQVIrZ0F3SUJBZ0lCQVRBS0JnZ3Foa2pPUFFRREFqQWtNU0l3SUFZRFZRUUREQmx5YTJVeUxXTnMKYVdWdWRD"
        "MWpZVUF4TnpjeU16WTJOREF3TUI0WERUSTJNRE13TVRFeE1EQXdNRm9YRFRNMk1ESXlOekV5TURBdwpNRm93SkRFaU1DQUdBMVVFQXd3WmNtdGxN"
        "aTFqYkdsbGJuUXRZMkZBTVRjM01qTTJOalF3TURCWk1CTUdCeXFHClNNNDlBZ0VHQ0NxR1NNNDlBd0VIQTBJQUJJNVRPMitndjN0R0pic3dabndC"
        "KzJCKytmaTRxQS92V3pBR0tIQXgKaDdLamMrc2R2ZUF6R0RadEJwK0RwdldRQUZQSE5qUExCQnNoeFY0YWhzSDBBTFNqUWpCQU1CMEdBMVVkRGdR"
        "VwpCQlRNMHJQcTlaQ0lhYkNoNnNnOWJZbFpoakdielRBUEJnTlZIUk1CQWY4RUJUQURBUUgvTUE0R0ExVWREd0VCCi93UUVBd0lDcERBS0JnZ3Fo"
        "a2pPUFFRREFnTkpBREJHQWlFQXNGUmYrMGhlZk5UZFBoNlc4RnhSc0JKYVJPdHoKSXlDZXMrS0crQTA4T053Q0lRQ2FIQmdwRlNsYm9SR083Nksr"
        "eUQ3aUNObU5pTzVXYjdzV3B3UEFlTDZZRmc9PQotLS0tLUVORCBDRVJUSUZJQ0FURS0tLS0tCg==",
    ),
}


@pytest.mark.parametrize("what", FINDINGS)
def test_what_was_found_once_is_taken_or_refused(what: str) -> None:
    target, text = FINDINGS[what]
    importlib.import_module(f"tests.fuzz.targets.{target}").TARGET.read(base64.b64decode(text))


@pytest.mark.parametrize("value", [0, 0x20, 0xFF])
def test_no_byte_of_a_dynamic_program_takes_the_reader_down(value: int) -> None:
    """pyelftools asserts, indexes and divides by what it finds."""
    good = dynamic_program()
    facts = elf_facts(good)
    assert facts is not None and facts.needed == ("libc.so.6",) and facts.interpreter == "/lib/ld.so"
    for at in range(4, len(good)):
        elf_facts(good[:at] + bytes([value]) + good[at + 1 :])


TWO_PAX = tars.tar(tars.pax({"path": "bin/a"}), tars.pax({"linkpath": "b"}), tars.member("x", program(b"x")))
EMPTY_PAX = tars.tar(tars.member("PaxHeaders/x", typeflag=b"x"), tars.member("bin/x", program(b"x")))


@pytest.mark.parametrize("layer", [TWO_PAX, EMPTY_PAX, *(layer for layer, _ in LAYERS.values())])
def test_the_strict_reader_of_layers_takes_nothing_that_the_loose_one_refuses(layer: bytes) -> None:
    """Two PAX headers for one member: Go's reader believes the last, Python's the first."""
    READERS["mended"](layer)


@pytest.mark.parametrize("layer", [TWO_PAX, EMPTY_PAX, LAYERS["PAX header without a member"][0]])
def test_pax_headers_that_two_readers_take_for_two_things_are_refused(layer: bytes) -> None:
    scan = EntryScan(None, "layer")
    with pytest.raises(FormatError):
        scan.feed(layer)
        scan.finish()


def test_a_file_that_sha256sum_takes_for_its_input_may_not_stand_in_a_bundle() -> None:
    good = index.decode(examples.packed()[0])
    check_index(good, where="bundle.json")
    file = index.File(path="-", size=0, sha256=Digest.of(b""))
    with pytest.raises(FormatError, match="may not stand in a bundle"):
        check_index(msgspec.structs.replace(good, files=[file]), where="bundle.json")
