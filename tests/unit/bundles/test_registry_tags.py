"""A repository's tags: all pages, from a registry that may lie about them."""

import json
from collections.abc import Iterator

import pytest

from bundles.errors import FormatError, LimitError, MissingError, SealiftError
from bundles.registry import tags
from bundles.registry.place import Repository
from bundles.registry.session import no_check
from tests.support.fakeregistry import Clock, FakeRegistry, Fault, client, fake_registry

OCI = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with fake_registry() as made:
        for number in range(7):
            made.add_manifest("a", f"v1.0.{number}", {"mediaType": OCI})
        yield made


def listed(registry: FakeRegistry, path: str = "a") -> list[str]:
    with client(Clock()) as ours:
        return ours.tags(Repository(host=registry.host, path=path), no_check)


def test_all_pages_are_read_and_busy_answers_waited_for(
    registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tags, "PAGE", 3)
    registry.faults = lambda seen, number: Fault(status=429, headers={"Retry-After": "1"}) if number == 2 else None
    assert listed(registry) == [f"v1.0.{number}" for number in range(7)]
    assert len(registry.paths()) == 4
    with pytest.raises(MissingError):
        listed(registry, "nothing")


@pytest.mark.parametrize(
    ("body", "link", "error"),
    [
        (b"[]", "", FormatError),
        (b'{"tags": "v1"}', "", FormatError),
        (b'{"tags": ["../x"]}', "", FormatError),
        (b'{"tags": [5]}', "", FormatError),
        (b'{"tags": ["a"], "tags": ["b"]}', "", FormatError),
        (b'{"tags": ["a"]}', '<https://elsewhere.invalid/v2/a/tags/list?sig=s3cr3t>; rel="next"', FormatError),
        (b'{"tags": ["a"]}', '<http://[x?sig=s3cr3t>; rel="next"', FormatError),
        (b'{"tags": ["a"]}', '</v2/a/tags/list?last=a>; rel="next"', LimitError),
        (b" " * (tags.MAX_ANSWER + 1), "", LimitError),
    ],
    ids=["list", "text", "path", "number", "twice", "elsewhere", "no URL", "endless", "large"],
)
def test_a_list_that_is_none_leads_elsewhere_or_never_ends_is_refused(
    registry: FakeRegistry, body: bytes, link: str, error: type[SealiftError]
) -> None:
    registry.faults = lambda seen, number: Fault(status=200, headers={"Link": link} if link else {}, body=body)
    with pytest.raises(error) as caught:
        listed(registry)
    assert "s3cr3t" not in str(caught.value)


def test_a_repository_whose_tags_are_gone_has_none(registry: FakeRegistry) -> None:
    registry.faults = lambda seen, number: Fault(status=200, body=json.dumps({"name": "a", "tags": None}).encode())
    assert listed(registry) == []
