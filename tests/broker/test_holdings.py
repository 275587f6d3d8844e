"""What one process may hold: no server, no threads, times given by hand."""

import pytest

from broker.holdings import PATIENCE_S, SEND_AT, Holdings
from broker.pace import MOST_AHEAD, SHORT_S, Pace
from broker.proxy import JobProxy
from jobs.model import Outcome, Verdict
from jobs.rules import QueueRules
from tests.broker.hands import a_proxy


def holdings(threads: int = 4, **rules: QueueRules) -> Holdings:
    held = Holdings(threads, lambda queue: rules.get(queue, QueueRules(concurrency=100)))
    for queue in rules or {"q": None}:
        held.serve(queue)
    return held


def proxies(*ids: str, queue: str = "q") -> list[JobProxy]:
    return [a_proxy(job_id, queue) for job_id in ids]


def done(proxy: JobProxy, outcome: Outcome = Outcome.COMPLETED) -> Verdict:
    return Verdict(proxy.job.id, proxy.job.token, outcome)


def run_many(held: Holdings, seconds: float, count: int = 100) -> None:
    """Let so many jobs run that each took `seconds`."""
    for number in range(count):
        (proxy,) = held.receive(proxies(f"past-{number}"), 0.0)
        held.finish(proxy, done(proxy), seconds)
    held.take_verdicts(count)
    held.sent()


def asked(held: Holdings) -> tuple[int, dict[str, int]] | None:
    request = held.request("w", "token", 1_000)
    return request and (request.credits, {queue: room for queue, (room, _) in request.queues.items()})


def test_a_process_asks_for_one_job_for_each_free_thread() -> None:
    held = holdings(threads=3)
    assert asked(held) == (3, {"q": 100})
    started = held.receive(proxies("one", "two"), 0.0)
    assert [proxy.message_id for proxy in started] == ["one", "two"]
    assert asked(held) == (1, {"q": 98})
    held.receive(proxies("three"), 0.0)
    assert asked(held) is None


def test_no_queue_gets_more_threads_than_its_concurrency() -> None:
    held = holdings(threads=4, narrow=QueueRules(concurrency=1), wide=QueueRules(concurrency=9))
    held.receive(proxies("one", queue="narrow"), 0.0)
    assert asked(held) == (3, {"wide": 9})
    assert held.open_queues() == ["wide"]


def test_a_process_whose_queues_are_all_at_their_concurrency_asks_for_nothing() -> None:
    held = holdings(threads=4, narrow=QueueRules(concurrency=1))
    held.receive(proxies("one", queue="narrow"), 0.0)
    assert held.has_room
    assert asked(held) is None
    assert held.open_queues() == []


def test_what_is_held_ahead_starts_when_a_thread_is_free_of_a_queue_that_may() -> None:
    held = holdings(threads=2, narrow=QueueRules(concurrency=1), wide=QueueRules(concurrency=9))
    fetched = [*proxies("n1", "n2", queue="narrow"), *proxies("w1", "w2", queue="wide")]
    n1, w1 = held.receive(fetched, 0.0)
    assert (n1.message_id, w1.message_id) == ("n1", "w1")
    following, _ = held.finish(w1, done(w1), 0.0)
    assert following is not None
    assert following.message_id == "w2", "n2 has to wait for n1"
    following, _ = held.finish(n1, done(n1), 0.0)
    assert following is not None
    assert following.message_id == "n2"


def test_nothing_is_held_ahead_until_jobs_are_seen_to_be_short() -> None:
    held = holdings(threads=2)
    assert asked(held) == (2, {"q": 100})
    run_many(held, SHORT_S / 10)
    assert asked(held) == (2 + MOST_AHEAD, {"q": 100 + MOST_AHEAD})
    run_many(held, SHORT_S * 10, count=3)
    assert asked(held) == (2, {"q": 100})


def test_of_a_queue_with_a_cap_over_all_workers_nothing_is_ever_held_ahead() -> None:
    held = holdings(threads=2, q=QueueRules(concurrency=100), capped=QueueRules(2, global_concurrency=2))
    run_many(held, SHORT_S / 10)
    request = held.request("w", "token", 1_000)
    assert request is not None
    assert request.queues == {"q": (100 + MOST_AHEAD, None), "capped": (2, 2)}


def test_a_job_that_waited_too_long_for_a_thread_is_handed_back_unspent() -> None:
    held = holdings(threads=1)
    run_many(held, SHORT_S / 10)
    held.receive(proxies("runs", "waits"), 10.0)
    assert not held.hand_back_stale(10.0 + PATIENCE_S / 2)
    assert held.hand_back_stale(10.0 + PATIENCE_S * 2)
    assert held.take_verdicts(10) == [Verdict("waits", 1, Outcome.RETURNED)]
    assert (held.running, held.ahead) == (1, 0)
    assert asked(held) is None, "and the pace begins again from none"


def test_a_stop_hands_back_what_no_thread_has_started() -> None:
    held = holdings(threads=1)
    held.receive(proxies("runs", "waits"), 0.0)
    held.stop_accepting()
    assert held.take_verdicts(10) == [Verdict("waits", 1, Outcome.RETURNED)]
    assert held.running == 1
    assert asked(held) is None


def test_what_arrives_after_the_stop_is_handed_back_too() -> None:
    held = holdings(threads=2)
    held.stop_accepting()
    assert held.receive(proxies("late"), 0.0) == []
    assert held.take_verdicts(10) == [Verdict("late", 1, Outcome.RETURNED)]


def test_an_interrupted_job_says_nothing_more_when_it_ends_after_all() -> None:
    held = holdings(threads=1)
    (proxy,) = held.receive(proxies("long"), 0.0)
    assert held.interrupt_running() == [proxy]
    assert held.finish(proxy, done(proxy), 1.0) == (None, False)
    (verdict,) = held.take_verdicts(10)
    assert (verdict.id, verdict.outcome) == ("long", Outcome.INTERRUPTED)
    assert held.unsent == 1, "until the store has answered"
    held.sent()
    assert held.unsent == 0


def test_an_interruption_says_what_happened() -> None:
    held = holdings(threads=1, q=QueueRules())
    held.receive(proxies("long"), 0.0)
    held.interrupt_running()
    assert b"Interrupted" in (held.take_verdicts(10)[0].record or b"")


def test_verdicts_that_could_not_be_sent_keep_their_order() -> None:
    held = holdings(threads=9)
    running = held.receive(proxies("1", "2", "3", "4"), 0.0)
    for proxy in running[:3]:
        held.finish(proxy, done(proxy), 0.0)
    assert [verdict.id for verdict in held.take_verdicts(2)] == ["1", "2"]
    held.finish(running[3], done(running[3]), 0.0)
    held.not_sent()
    assert [verdict.id for verdict in held.take_verdicts(9)] == ["1", "2", "3", "4"]


def test_a_process_answers_for_a_delivery_until_its_verdict_is_stored() -> None:
    held = holdings(threads=1)
    (runs,) = held.receive([a_proxy("runs", token=7), a_proxy("ahead", token=2)], 0.0)
    assert held.held() == {"runs": 7, "ahead": 2}
    held.finish(runs, done(runs), 0.0)
    held.take_verdicts(9)
    assert held.held() == {"runs": 7, "ahead": 2}
    held.sent()
    assert held.held() == {"ahead": 2}


def test_a_job_that_cannot_be_read_takes_no_thread() -> None:
    held = holdings(threads=1)
    broken = Verdict("broken", 1, Outcome.FAILED)
    assert [proxy.message_id for proxy in held.receive([broken, a_proxy("good")], 0.0)] == ["good"]
    assert held.take_verdicts(9) == [broken]


def test_a_second_delivery_of_a_job_that_still_runs_here_is_not_started() -> None:
    held = holdings(threads=2)
    held.receive([a_proxy("one", token=1)], 0.0)
    assert held.receive([a_proxy("one", token=2)], 0.0) == []
    assert held.held() == {"one": 1}, "so the next registration hands token 2 back"


def test_verdicts_are_sent_at_once_when_threads_would_go_hungry_and_else_in_company() -> None:
    held = holdings(threads=1)
    run_many(held, SHORT_S / 10)
    (proxy,) = held.receive(proxies(*map(str, range(90))), 0.0)
    waits = []
    while proxy is not None and len(waits) < SEND_AT:
        following, urgent = held.finish(proxy, done(proxy), 0.0)
        waits.append(urgent)
        proxy = following  # type: ignore[assignment]
    assert waits == [False] * (SEND_AT - 1) + [True]


@pytest.mark.parametrize(("seconds", "ahead"), [(SHORT_S / 2, MOST_AHEAD), (SHORT_S * 2, 0)])
def test_the_pace_follows_how_long_jobs_take(seconds: float, ahead: int) -> None:
    pace = Pace()
    assert pace.ahead() == 0
    for _ in range(100):
        pace.observe(seconds)
    assert pace.ahead() == ahead
    pace.too_far()
    assert pace.ahead() == 0
