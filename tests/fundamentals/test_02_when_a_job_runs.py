"""2. When a job runs: at once, after a delay, at a time, in order of priority, and only once for one id.

`jobs` records what is sent and runs it on demand, with no server; its clock stands still unless a test
moves it (chapter 8).
"""

from datetime import timedelta

import pytest

from actors.declare import actor
from broker.testing import FakeJobs
from jobs.errors import InvalidPayload
from jobs.states import JobState


def test_a_delay_is_given_in_milliseconds_or_as_a_timedelta(jobs: FakeJobs) -> None:
    done = []

    @actor
    def remind(whom: str) -> None:
        done.append(whom)

    remind.send_with_options(args=("ada",), delay=60_000)
    remind.send_with_options(args=("ben",), delay=timedelta(minutes=2))

    assert jobs.run_all() == 0
    jobs.advance(seconds=60)
    jobs.run_all()
    assert done == ["ada"]
    jobs.advance(seconds=60)
    jobs.run_all()
    assert done == ["ada", "ben"]


def test_run_at_is_a_moment_and_wins_over_a_delay(jobs: FakeJobs) -> None:
    done = []

    @actor
    def remind(whom: str) -> None:
        done.append(whom)

    message = remind.send_with_options(args=("ada",), delay=1, run_at=4_102_444_800_000)  # in 2100
    job = jobs.store.get(message.message_id)
    assert job is not None
    assert (job.state, job.due_at) == (JobState.DELAYED, 4_102_444_800_000)

    remind.send_with_options(args=("ben",), run_at=0)  # that moment is past
    jobs.run_all()
    assert done == ["ben"]


def test_a_lower_number_runs_first_and_equal_ones_in_the_order_they_were_sent(jobs: FakeJobs) -> None:
    done = []

    @actor(queue="letters")
    def write(name: str) -> None:
        done.append(name)

    @actor(queue="letters", priority=2)
    def express(name: str) -> None:
        done.append(name)

    write.send("usual")
    write.send("usual too")
    write.send_with_options(args=("some time",), priority=10)
    express.send("by its actor")
    write.send_with_options(args=("at once",), priority=1)
    jobs.run_all()

    assert done == ["at once", "by its actor", "usual", "usual too", "some time"]


def test_the_queues_policy_gives_the_priority_that_neither_call_nor_actor_gives(jobs: FakeJobs) -> None:
    @actor
    def critical_alert(text: str) -> None: ...

    @actor
    def cache_warmup(name: str) -> None: ...

    critical_alert.send("fire")
    cache_warmup.send("prices")
    assert {job.queue: job.priority for job in jobs.queued()} == {"critical-alert": 1, "cache-warmup": 9}


def test_the_same_job_id_twice_is_one_job(jobs: FakeJobs) -> None:
    runs = []

    @actor
    def invoice(number: int) -> None:
        runs.append(number)

    first = invoice.send_with_options(args=(7,), job_id="invoice-7")
    second = invoice.send_with_options(args=(7,), job_id="invoice-7")

    assert first.message_id == second.message_id == "invoice-7"
    assert jobs.run_all() == 1
    invoice.send_with_options(args=(7,), job_id="invoice-7")  # also when it is done
    assert jobs.run_all() == 0
    assert runs == [7]


@pytest.mark.parametrize(
    ("option", "value", "reason"),
    [
        ("priority", 0, "priority must be a whole number from 1 to 10"),
        ("priority", 2.5, "priority must be a whole number from 1 to 10"),
        ("attempts", 0, "attempts must be a whole number from 1 to 1000"),
        ("job_id", "", "job_id must be 1 to 128 letters"),
        ("time_limit", "soon", "time_limit must be a whole number"),
        ("tenant_id", "a\nb", "tenant_id must be 1 to 100 printable characters"),
        ("backoff", {"delay": -1}, "backoff.delay must be a number of milliseconds"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused_and_nothing_is_sent(
    jobs: FakeJobs, option: str, value: object, reason: str
) -> None:
    @actor
    def invoice(number: int) -> None: ...

    with pytest.raises(InvalidPayload, match=reason):
        invoice.send_with_options(args=(7,), **{option: value})
    assert jobs.queued() == []


@pytest.mark.parametrize("delay", ["soon", 1.5, -1, True])
def test_a_delay_is_a_whole_number_of_milliseconds(jobs: FakeJobs, delay: object) -> None:
    @actor
    def note(text: str) -> None: ...

    with pytest.raises(InvalidPayload, match="delay must be a whole number from 0"):
        note.send_with_options(kwargs={"text": "x"}, delay=delay)
    assert jobs.queued() == []
