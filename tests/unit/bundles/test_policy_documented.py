"""The policy that docs/trust.md shows is one, and does what the page says."""

import json
import re
from pathlib import Path

from bundles.policy import model
from bundles.signing.statement import SLSA_PROVENANCE

PAGE = Path(__file__).resolve().parents[3] / "docs/trust.md"


def example() -> bytes:
    found = re.search(r"<!-- example.*?```json\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    return found[1].encode()


def test_the_documented_policy_is_read_without_a_problem() -> None:
    policy = model.parse(example(), where="docs/trust.md")
    (rule,) = policy.bundles
    assert (rule.quorum.threshold, len(rule.quorum.signers)) == (2, 3)
    assert rule.attestations[0].type == SLSA_PROVENANCE and policy.images and policy.revoked and policy.expires


def test_every_field_of_a_policy_is_explained() -> None:
    rows = "\n".join(line for line in PAGE.read_text().splitlines() if line.startswith("| `"))
    document = json.loads(example())
    for field in (*document, *document["bundles"][0]):
        assert re.search(rf"`(bundles\[\]\.)?{field}`", rows), field
