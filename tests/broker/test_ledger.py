"""Which deliveries had started, as the lease helper reads it."""

from broker.worker.ledger import LONGEST_ID, NO_SLOT, Ledger, read_started


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
