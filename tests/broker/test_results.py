"""Asking for the result of a job."""

import time

import pytest
from dramatiq import Message
from dramatiq.results import ResultMissing, ResultTimeout

from broker.results import JobResults
from jobs.memory import MemoryStore
from jobs.model import Job, NewJob


def message(**options: object) -> "Message[object]":
    return Message("q", "add", ("hunter2",), {}, options, "one")


class Gone(MemoryStore):
    """The job is there at the first look and gone at the next."""

    looks = 0

    def get(self, job_id: str) -> Job | None:
        self.looks += 1
        return super().get(job_id) if self.looks == 1 else None


def test_a_job_that_was_seen_and_is_gone_is_not_waited_for() -> None:
    store = Gone()
    store.enqueue([NewJob("one", "q", "add", b"[]")])
    started = time.monotonic()
    with pytest.raises(ResultMissing):
        JobResults(lambda: store).get_result(message(), block=True, timeout=10_000)
    assert time.monotonic() - started < 5
    assert store.looks == 2


@pytest.mark.parametrize("remove", [True, 0])
def test_nor_is_one_that_removes_itself_when_completed(remove: object) -> None:
    with pytest.raises(ResultMissing):
        JobResults(MemoryStore).get_result(message(remove_on_complete=remove), block=True, timeout=60_000)


@pytest.mark.parametrize("remove", [None, False, 5])
def test_one_that_was_never_seen_may_still_come(remove: object) -> None:
    with pytest.raises(ResultTimeout):
        JobResults(MemoryStore).get_result(message(remove_on_complete=remove), block=True, timeout=1)


def test_the_errors_do_not_say_what_the_job_was_given() -> None:
    for block in (False, True):
        with pytest.raises((ResultMissing, ResultTimeout), match=r"^Job one of add has no result") as raised:
            JobResults(MemoryStore).get_result(message(), block=block, timeout=1)
        assert "hunter2" not in str(raised.value)


def test_a_long_wait_looks_seldom() -> None:
    class Counting(MemoryStore):
        looks = 0

        def get(self, job_id: str) -> Job | None:
            self.looks += 1
            return super().get(job_id)

    store = Counting()
    store.enqueue([NewJob("one", "q", "add", b"[]")])
    with pytest.raises(ResultTimeout):
        JobResults(lambda: store).get_result(message(), block=True, timeout=1_000)
    # Each 10 ms up to a tenth of a second, then each time a tenth longer; every 20 ms would be 50.
    assert 2 < store.looks < 45
