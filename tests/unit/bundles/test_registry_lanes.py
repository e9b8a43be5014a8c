"""A registry that can bear less gets less at once."""

import threading
import time

import pytest

from bundles.registry.lanes import Lanes
from bundles.registry.place import Repository
from bundles.registry.session import no_check
from tests.support.fakeregistry import Clock, Fault, Seen, client, fake_registry


def test_a_busy_answer_halves_and_good_ones_bring_it_back_one_by_one() -> None:
    lanes = Lanes(8)
    lanes.enter("a", no_check).busy()
    assert lanes.limit("a") == 4 and lanes.limit("b") == 8
    seen = [lanes.limit("a")]
    for _ in range(40):
        lane = lanes.enter("b", no_check)
        lane.leave()
    for _ in range(4 + 5 + 6 + 7 - 3):
        lane = lanes.enter("a", no_check)
        lane.good()
        lane.leave()
        seen.append(lanes.limit("a"))
    assert seen[-1] == 7 and sorted(seen) == seen


def test_a_host_that_answers_well_from_the_beginning_gets_more_soon_and_once_it_was_busy_slowly() -> None:
    lanes = Lanes(16, 8)
    assert lanes.limit("a") == 8
    for _ in range(8):
        lane = lanes.enter("a", no_check)
        lane.good()
        lane.leave()
    assert lanes.limit("a") == 16
    lanes.enter("a", no_check).busy()
    for _ in range(7):
        lanes.enter("a", no_check).good()
    assert lanes.limit("a") == 8


def test_answers_to_what_was_sent_before_the_last_cut_cut_no_more() -> None:
    lanes = Lanes(8)
    sent = [lanes.enter("a", no_check) for _ in range(8)]
    for lane in sent:
        lane.busy()
        lane.leave()
    assert lanes.limit("a") == 4
    lane = lanes.enter("a", no_check)
    for _ in range(3):
        lane.busy()
    assert lanes.limit("a") == 2


def test_there_is_always_one_and_who_was_called_off_does_not_wait() -> None:
    lanes = Lanes(1)
    first = lanes.enter("a", no_check)
    first.busy()
    assert lanes.limit("a") == 1

    def called_off() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        lanes.enter("a", called_off)
    first.leave()
    first.leave()
    lanes.enter("a", no_check)


def test_a_registry_that_takes_two_at_once_gets_everything_done() -> None:
    """One that answers 429 whenever there are more: all blobs come, and in the end it is hardly asked in vain."""
    under_way, lock, refused = [0], threading.Lock(), []

    def narrow(seen: Seen, number: int) -> Fault | None:
        with lock:
            under_way[0] += 1
            crowded = under_way[0] > 2
        time.sleep(0.005)
        with lock:
            under_way[0] -= 1
        if crowded:
            refused.append(number)
            return Fault(status=429)
        return None

    with fake_registry() as registry, client(Clock()) as ours:
        place = Repository(host=registry.host, path="a")
        digests = [registry.add("a", bytes([number])) for number in range(120)]
        registry.faults = narrow

        def some(start: int) -> None:
            for digest in digests[start::8]:
                ours.fetch(place, digest, 1, lambda data, at: None, no_check)

        threads = [threading.Thread(target=some, args=(start,)) for start in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        got = sum(seen.method == "GET" for seen in registry.seen) - len(refused)
    assert got == len(digests) and len(refused) < len(digests) // 2
