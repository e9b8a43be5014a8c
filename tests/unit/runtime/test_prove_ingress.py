"""A proof's way through an Ingress, against a cluster of a few lines."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest

from runtime.choices import Chosen
from runtime.prove.checks import Scene, run_checks
from runtime.prove.ingress import ingress_checks


@dataclass
class Served:
    """A cluster with Ingresses; `default`: the class that those without one get; `page`: who answers."""

    default: str = "traefik"
    page: str = "probe-1"
    asked: list[str] = field(default_factory=list)
    ingresses: dict[str, dict[str, str]] = field(default_factory=dict)

    async def kubectl(self, *arguments: str, feed: bytes | None = None) -> str:
        if feed is not None:
            found = json.loads(feed)
            self.ingresses[found["metadata"]["name"]] = found["spec"]
            return ""
        if "ingress" in arguments:
            spec = self.ingresses[arguments[4]]
            return json.dumps({"spec": {"ingressClassName": spec.get("ingressClassName", self.default)}})
        return "probe-1"

    @contextlib.asynccontextmanager
    async def forwarding(self, *arguments: str) -> AsyncIterator[None]:
        yield

    async def fetch(self, url: str, *, neighbour: bool, host: str = "") -> str:
        self.asked.append(f"{'neighbour' if neighbour else 'node'} {url} {host}")
        return self.page


def outcome(cluster: Served, chosen: Chosen, monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    async def no_pause(seconds: float) -> None:
        """Time is the test's own."""

    monkeypatch.setattr(asyncio, "sleep", no_pause)
    times = iter(range(0, 100_000, 60))
    scene = Scene(hands=cluster, image="i", node="n1", address="172.31.77.11")
    results = asyncio.run(run_checks(scene, lambda: float(next(times)), lambda line: None, ingress_checks(chosen)))
    return {result.name: result.ok for result in results}


def test_each_controller_is_asked_by_its_class_and_the_first_one_without(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Served()
    found = outcome(cluster, Chosen(ingress=("traefik", "ingress-nginx")), monkeypatch)
    assert found == {"ingress-traefik": True, "ingress-ingress-nginx": True, "ingress-default": True}
    assert "neighbour http://172.31.77.11/probe/hostname traefik.prove.test" in cluster.asked
    assert "node https://172.31.77.11/probe/hostname default.prove.test" in cluster.asked
    assert "ingressClassName" not in cluster.ingresses["default"]


def test_a_class_that_is_not_the_default_one_or_another_s_answer_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    assert outcome(Served(default=""), Chosen(ingress=("traefik",)), monkeypatch) == {
        "ingress-traefik": True,
        "ingress-default": False,
    }
    assert not any(outcome(Served(page="404 page not found"), Chosen(ingress=("traefik",)), monkeypatch).values())


@pytest.mark.parametrize("chosen", [Chosen(), Chosen(ingress=("none",))])
def test_where_nobody_serves_ingresses_nothing_is_asked(chosen: Chosen) -> None:
    assert ingress_checks(chosen) == ()
