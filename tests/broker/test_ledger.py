"""Which deliveries had started, as the lease helper reads it."""

from broker.worker.holdings import Holdings
from broker.worker.ledger import LONGEST_ID, NO_SLOT, Ledger, read_started
from jobs.model import Outcome
from jobs.rules import QueueRules
from tests.broker.hands import a_proxy
from tests.broker.held import done


def test_what_started_is_read_until_it_is_settled() -> None:
    ledger = Ledger(4)
    slot = ledger.start("one", 1)
    ledger.start("two", 2**40)
    assert read_started(ledger.descriptor) == {"one": 1, "two": 2**40}
    ledger.settled(slot)
    assert read_started(ledger.descriptor) == {"two": 2**40}


def test_slots_are_used_again_with_longer_and_shorter_ids() -> None:
    ledger = Ledger(1)
    ledger.settled(ledger.start("a" * LONGEST_ID, 2))
    ledger.start("b", 7)
    assert read_started(ledger.descriptor) == {"b": 7}


def test_when_a_start_could_not_be_written_nothing_is_claimed() -> None:
    ledger = Ledger(1)
    ledger.start("first", 1)
    assert ledger.start("second", 1) == NO_SLOT
    ledger.settled(NO_SLOT)
    assert read_started(ledger.descriptor) is None


def test_a_job_that_comes_again_before_its_last_verdict_is_known_to_be_stored_has_two_slots() -> None:
    """One round trip stores that it is held and brings it back; its thread may be quicker than the answer."""
    ledger = Ledger(2)
    held = Holdings(4, lambda queue: QueueRules(concurrency=100), ledger)
    held.serve("q")
    (first,) = held.receive([a_proxy("job", token=1)], 0.0)
    held.finish(first, done(first, Outcome.HELD), 0.0)
    held.take_verdicts(400)
    (second,) = held.receive([a_proxy("job", token=2)], 0.0)
    assert held.held() == {"job": 2}
    held.finish(second, done(second), 0.0)
    held.sent()
    assert held.held() == {"job": 2}
    assert read_started(ledger.descriptor) == {"job": 2}, "it ran, and nobody knows yet how it ended"

    held.take_verdicts(400)
    held.not_sent()
    held.take_verdicts(400)
    held.sent()
    assert read_started(ledger.descriptor) == {}
    for number in range(10):
        (proxy,) = held.receive([a_proxy("job", token=number)], 0.0)
        held.finish(proxy, done(proxy), 0.0)
        held.take_verdicts(400)
        held.sent()
    assert read_started(ledger.descriptor) == {}, "no slot is lost"
