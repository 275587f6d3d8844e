"""Emptying queues through the service: bounded calls, long runs, and what is asked before."""

from itertools import count

import pytest

from actors.composition import App
from control.service import QueueActions, RuleActions
from control.service.errors import NotConfirmed
from control.service.requests import CleanRequest, DrainRequest, ObliterateRequest, QueueChanges
from database.adjustments import Adjustments
from jobs.errors import UnknownQueue
from jobs.memory import MemoryStore
from jobs.model import FetchRequest, NewJob, Outcome, Scope, Verdict
from jobs.states import JobState
from tests.control.board import small_app, work

QUEUE = "email-sync"

numbers = count()


@pytest.fixture
def verbs(app: App) -> QueueActions:
    return QueueActions(app, "ada")


def put(store, times, queue=QUEUE, **options):
    ids = [f"j{next(numbers):06}" for _ in range(times)]
    store.enqueue([NewJob(job_id, queue, "email_sync", b"", **options) for job_id in ids])


def waiting(store, queue=QUEUE):
    return store.stats([queue])[0].waiting


def test_a_drain_is_bounded_and_says_whether_there_is_more(verbs, store):
    put(store, 1_500)

    first = verbs.drain(QUEUE, DrainRequest())
    second = verbs.drain(QUEUE, DrainRequest())

    assert (first.removed, first.more) == (1_000, True)
    assert (second.removed, second.more) == (500, False)
    assert waiting(store) == 0


def test_delayed_jobs_may_stay(verbs, store):
    put(store, 2)
    put(store, 3, delay_ms=60_000, lane="acme")

    assert verbs.drain(QUEUE, DrainRequest(delayed=False)).removed == 2
    assert verbs.drain(QUEUE, DrainRequest()).removed == 3


def test_no_single_call_to_the_store_takes_more_than_a_chunk(tmp_path):
    asked = []

    class Watched(MemoryStore):
        def drain(self, queue, *, delayed=True, limit=1000):
            asked.append(limit)
            return super().drain(queue, delayed=delayed, limit=limit)

    store = Watched()
    put(store, 2_500)

    verbs = QueueActions(small_app(store, tmp_path), "ada")

    assert list(verbs.drain_all(QUEUE, limit=1_200)) == [1_000, 200]
    assert list(verbs.drain_all(QUEUE)) == [1_000, 300]
    assert asked == [1_000, 200, 1_000, 1_000, 1_000]


def test_a_run_that_is_closed_has_done_whole_chunks_and_says_so(verbs, store, caplog):
    caplog.set_level("INFO", logger="callboard.operators")
    put(store, 2_500)
    run = verbs.drain_all(QUEUE)

    assert next(run) == 1_000
    run.close()

    assert waiting(store) == 1_500
    assert caplog.messages == ['"ada" queue.drain queue="email-sync" removed=1000 delayed=true']


def test_the_oldest_of_a_state_are_cleaned_and_the_newest_kept(verbs, store):
    put(store, 5)
    done = [work(store, QUEUE) for _ in range(5)]

    removed = verbs.clean(QUEUE, CleanRequest(state="completed", keep=2))

    assert (removed.removed, removed.more) == (3, False)
    assert sorted(job.id for job in store.list_jobs(QUEUE, JobState.COMPLETED)) == sorted(done[3:])


def test_an_age_spares_what_is_younger(tmp_path):
    now = [1_000_000]
    store = MemoryStore(clock=lambda: now[0])
    verbs = QueueActions(small_app(store, tmp_path), "ada")
    put(store, 2)
    work(store, QUEUE)
    now[0] += 60_000
    work(store, QUEUE)

    assert verbs.clean(QUEUE, CleanRequest(state="completed", older_than_ms=30_000)).removed == 1


def test_nothing_is_obliterated_without_the_name(verbs, store):
    put(store, 1)

    with pytest.raises(NotConfirmed, match="confirm with its name, which is email-sync"):
        verbs.obliterate(QUEUE, ObliterateRequest(confirm="email"))

    assert waiting(store) == 1


def test_an_obliterated_queue_loses_its_jobs_its_counters_and_its_changed_rules(ruled, store):
    rules = RuleActions(ruled, "ada")
    rules.pause(QUEUE, "acme")
    rules.change_queue(QUEUE, QueueChanges(cap=7))
    put(store, 1)
    work(store, QUEUE, Outcome.FAILED)
    put(store, 3)

    removed = QueueActions(ruled, "ada").obliterate(QUEUE, ObliterateRequest(confirm=QUEUE))

    assert (removed.removed, removed.more) == (4, False)
    (stats,) = store.stats([QUEUE])
    assert (stats.waiting, stats.failed, stats.failed_total) == (0, 0, 0)
    assert Adjustments(ruled.engine()).read() == []
    assert store.adjustments() == {}


def test_an_obliterated_queue_keeps_its_rules_while_one_of_its_jobs_runs(ruled, store):
    RuleActions(ruled, "ada").change_queue(QUEUE, QueueChanges(cap=1))
    put(store, 3)
    (job,) = store.fetch(FetchRequest("w", "t", 1, {QUEUE: 1})).jobs

    assert QueueActions(ruled, "ada").obliterate(QUEUE, ObliterateRequest(confirm=QUEUE)).removed == 2
    assert [one.value for one in Adjustments(ruled.engine()).read()] == [1]
    assert store.adjustments() == {Scope(QUEUE): {"cap": 1}}

    store.settle("w", [Verdict(job.id, job.token, Outcome.COMPLETED)])
    QueueActions(ruled, "ada").obliterate(QUEUE, ObliterateRequest(confirm=QUEUE))
    assert (Adjustments(ruled.engine()).read(), store.adjustments()) == ([], {})


def test_a_name_of_several_queues_is_refused_with_them(verbs):
    with pytest.raises(
        UnknownQueue, match="'email' stands for several queues; name one of email-draft, email-"
    ):
        verbs.drain("email", DrainRequest())


def test_a_queue_that_no_actor_has_any_more_can_be_emptied(verbs, store):
    with pytest.raises(UnknownQueue):
        verbs.drain("old-imports", DrainRequest())
    put(store, 2, "old-imports")

    assert verbs.drain("old-imports", DrainRequest()).removed == 2
