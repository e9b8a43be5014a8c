"""The fake registry does what registries do, also for several clients at once."""

import http.client

from tests.support.fakeregistry import fake_registry


def test_no_two_uploads_ever_share_a_place() -> None:
    with fake_registry() as registry:
        line = http.client.HTTPConnection(registry.host)

        def ask(method: str, path: str, body: bytes | None = None) -> str:
            line.request(method, path, body)
            answer = line.getresponse()
            answer.read()
            assert answer.status in (201, 202)
            return (answer.getheader("Location") or "").partition("?")[0]

        first, second = (ask("POST", "/v2/a/blobs/uploads/") for _ in range(2))
        digest = registry.add("elsewhere", b"blob")
        ask("PUT", f"{first}?digest={digest}", b"blob")
        third = ask("POST", "/v2/a/blobs/uploads/")
        assert len({first, second, third}) == 3
        line.close()
