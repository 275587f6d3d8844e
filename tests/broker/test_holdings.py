"""What one process may hold: no server, no threads, times given by hand."""

import time
from typing import Any

import pytest

from broker.proxy import JobProxy
from broker.worker.holdings import PATIENCE_S, SEND_AT, Holdings
from broker.worker.pace import MOST_AHEAD, SHORT_S, Pace
from broker.worker.solitude import TURN_S
from broker.worker.turns import WAIT_S
from jobs.model import Outcome, Verdict
from jobs.rules import QueueRules, Rate
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
    """Jobs in all, and of each queue."""
    request = held.request("w", "token", 1_000)
    return request and (request.credits + request.ahead, dict(request.queues))


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
    assert request.queues == {"q": 100 + MOST_AHEAD, "capped": 2}


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
    assert held.unsent() == 1, "until the store has answered"
    held.sent()
    assert held.unsent() == 0


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


def test_threads_and_what_would_be_held_ahead_are_asked_for_apart() -> None:
    held = holdings(threads=4)
    run_many(held, SHORT_S / 10)
    held.receive(proxies("one"), 0.0)
    request = held.request("w", "token", 1_000)
    assert request is not None
    assert (request.credits, request.ahead, request.busy) == (3, MOST_AHEAD, True)


def test_short_jobs_are_asked_for_while_every_thread_works() -> None:
    held = holdings(threads=2)
    run_many(held, SHORT_S / 10)
    held.receive(proxies("one", "two"), 0.0)
    request = held.request("w", "token", 1_000)
    assert request is not None
    assert (request.credits, request.ahead) == (0, MOST_AHEAD)


@pytest.mark.parametrize(
    "limit",
    [
        {"global_concurrency": 2},
        {"rate": Rate(5, 1_000)},
        {"lane_concurrency": 1},
        {"lane_rate": Rate(5, 1_000)},
        {"gate_concurrency": 1},
        {"gate_rate": Rate(5, 1_000)},
    ],
    ids=lambda limit: next(iter(limit)),
)
def test_of_a_queue_with_any_limit_over_all_workers_nothing_is_held_ahead(limit: dict[str, Any]) -> None:
    held = holdings(threads=2, q=QueueRules(concurrency=7), limited=QueueRules(7, **limit))
    run_many(held, SHORT_S / 10)
    request = held.request("w", "token", 1_000)
    assert request is not None
    assert request.queues == {"q": 7 + MOST_AHEAD, "limited": 7}


class TestQueuesOfOneShare:
    """They have one `concurrency` together."""

    def three(self, concurrency: int) -> Holdings:
        rules = QueueRules(concurrency, share="scheduled")
        return holdings(threads=9, reports=rules, reminders=rules, sync=rules)

    def test_their_room_is_parted(self) -> None:
        held = self.three(concurrency=5)
        assert asked(held) == (9, {"reports": 2, "reminders": 2, "sync": 1})
        held.receive(proxies("one", "two", queue="sync"), 0.0)
        assert asked(held) == (7, {"reports": 1, "reminders": 1, "sync": 1})

    def test_together_they_never_run_more(self) -> None:
        held = self.three(concurrency=1)
        both = [*proxies("one", queue="sync"), *proxies("two", queue="reports")]
        (started,) = held.receive(both, 0.0)
        assert started.message_id == "one"
        assert held.open_queues() == []
        following, _ = held.finish(started, done(started), 0.0)
        assert following is not None
        assert following.message_id == "two"

    def test_where_the_room_does_not_suffice_they_are_asked_in_turns(self) -> None:
        held = self.three(concurrency=2)
        rounds = [asked(held) for _ in range(3)]
        assert [queues for _, queues in filter(None, rounds)] == [
            {"reports": 1, "reminders": 1},
            {"sync": 1, "reports": 1},
            {"reminders": 1, "sync": 1},
        ]
        assert held.rounds() == 2


class TestSuspects:
    """A job that lost a lease runs where nothing else does."""

    def suspect(self, job_id: str = "suspect") -> JobProxy:
        proxy = a_proxy(job_id)
        proxy.job = proxy.job._replace(lost_leases=1)
        return proxy

    def test_a_process_that_shall_become_empty_fetches_nothing_until_it_is(self) -> None:
        held = holdings(threads=4)
        (other,) = held.receive(proxies("other"), time.monotonic(), suspect=True)
        assert asked(held) is None
        assert held.open_queues() == []
        held.finish(other, done(other), 0.0)
        assert asked(held) is None, "its outcome is not stored yet"
        held.take_verdicts(9)
        held.sent()
        request = held.request("w", "token", 1_000)
        assert request is not None
        assert not request.busy

    def test_nothing_is_fetched_until_its_outcome_is_stored(self) -> None:
        held = holdings(threads=4)
        (started,) = held.receive([self.suspect()], time.monotonic())
        assert asked(held) is None
        held.finish(started, done(started), 0.0)
        held.take_verdicts(9)
        assert asked(held) is None
        held.not_sent()
        held.take_verdicts(9)
        held.sent()
        assert asked(held) == (4, {"q": 100})
        assert not held.alone

    def test_a_turn_that_went_to_another_process_is_over(self) -> None:
        held = holdings(threads=4)
        held.receive([], time.monotonic(), suspect=True)
        assert held.alone
        assert asked(held) is not None, "it is empty, so it may ask"
        held.receive([], time.monotonic())
        assert not held.alone

    def test_a_process_that_does_not_become_empty_gives_up_its_turn(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        held = holdings(threads=4)
        since = time.monotonic()
        held.receive(proxies("long"), since, suspect=True)
        monkeypatch.setattr("broker.worker.holdings.time.monotonic", lambda: since + 30)
        assert asked(held) is None
        monkeypatch.setattr("broker.worker.holdings.time.monotonic", lambda: since + TURN_S)
        assert asked(held) == (3, {"q": 99})

    def test_one_that_comes_beside_others_goes_back(self) -> None:
        held = holdings(threads=4)
        held.receive(proxies("other"), 0.0)
        assert held.receive([self.suspect()], 0.0) == []
        assert held.take_verdicts(9) == [Verdict("suspect", 1, Outcome.RETURNED)]

    def test_others_that_come_while_it_runs_go_back(self) -> None:
        held = holdings(threads=4)
        held.receive([self.suspect()], 0.0)
        assert held.receive(proxies("late"), 0.0) == []
        assert held.take_verdicts(9) == [Verdict("late", 1, Outcome.RETURNED)]

    def test_a_delivery_whose_lease_was_lost_makes_way_for_the_next_one(self) -> None:
        held = holdings(threads=1)
        held.receive(proxies("runs"), 0.0)
        held.receive(proxies("one"), 0.0)
        again = self.suspect("one")
        again.job = again.job._replace(token=2)
        held.receive([again], 0.0)
        assert held.ahead == 0
        assert held.take_verdicts(9) == [Verdict("one", 2, Outcome.RETURNED)], "and token 1 says nothing more"


class TestCancelling:
    def test_a_running_job_is_marked_and_returned(self) -> None:
        held = holdings(threads=1)
        (proxy,) = held.receive(proxies("runs"), 0.0)
        assert held.cancel("runs") is proxy
        assert proxy.cancelled

    def test_one_held_ahead_is_settled_unstarted(self) -> None:
        held = holdings(threads=1)
        held.receive(proxies("runs", "waits"), 0.0)
        assert held.cancel("waits") is None
        (verdict,) = held.take_verdicts(9)
        assert (verdict.id, verdict.outcome) == ("waits", Outcome.CANCELLED)
        assert held.ahead == 0

    def test_one_that_is_on_its_way_does_not_start(self) -> None:
        held = holdings(threads=2)
        assert asked(held) is not None
        held.cancel("late")
        (started,) = held.receive(proxies("late", "other"), 0.0)
        assert started.message_id == "other"
        (verdict,) = held.take_verdicts(9)
        assert (verdict.id, verdict.outcome) == ("late", Outcome.CANCELLED)

    def test_a_job_that_was_elsewhere_may_come_here_later(self) -> None:
        held = holdings(threads=2)
        assert held.cancel("elsewhere") is None
        assert len(held.receive(proxies("elsewhere"), 0.0)) == 1

    def test_one_that_has_just_ended_is_left_alone(self) -> None:
        held = holdings(threads=1)
        (proxy,) = held.receive(proxies("ends"), 0.0)
        held.finish(proxy, done(proxy), 0.0)
        assert held.cancel("ends") is None
        assert held.take_verdicts(9) == [done(proxy)]


class TestShards:
    """Two servers, one process: they share its threads."""

    def two(self, threads: int) -> Holdings:
        held = Holdings(threads, lambda queue: QueueRules(concurrency=100))
        held.serve("a", "one")
        held.serve("b", "two")
        return held

    def ask(self, held: Holdings, shard: str) -> int:
        request = held.request("w", "token", 1_000, shard)
        return 0 if request is None else request.credits

    def test_what_one_has_asked_for_the_other_does_not_ask_for(self) -> None:
        held = self.two(threads=4)
        assert self.ask(held, "one") == 4
        assert self.ask(held, "two") == 0
        assert held.open_queues("two") == []
        held.receive(proxies("1", queue="a"), 0.0, "one")
        assert self.ask(held, "two") == 3

    def test_a_server_that_does_not_answer_keeps_no_threads(self) -> None:
        held = self.two(threads=4)
        assert self.ask(held, "one") == 4
        held.not_received("one")
        assert self.ask(held, "two") == 4

    def test_where_both_have_work_they_take_turns(self) -> None:
        held = self.two(threads=1)
        served = []
        for _ in range(6):
            for shard, queue in (("one", "a"), ("two", "b")):
                if self.ask(held, shard):
                    (proxy,) = held.receive(proxies(str(len(served)), queue=queue), 0.0, shard)
                    served.append(shard)
                    assert self.ask(held, "one") + self.ask(held, "two") == 0
                    held.finish(proxy, done(proxy), 0.0)
        assert served[:6] == ["one", "two"] * 3

    def test_a_shard_that_does_not_come_for_its_thread_is_not_waited_for(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        held = self.two(threads=1)
        assert self.ask(held, "one") == 1
        assert self.ask(held, "two") == 0
        held.receive([], 0.0, "one")
        assert self.ask(held, "one") == 0, "it is the other's turn"
        later = time.monotonic() + WAIT_S
        monkeypatch.setattr("broker.worker.holdings.time.monotonic", lambda: later)
        assert self.ask(held, "one") == 1

    def test_verdicts_go_to_the_shard_of_their_job(self) -> None:
        held = self.two(threads=4)
        (first,) = held.receive(proxies("1", queue="a"), 0.0, "one")
        (second,) = held.receive(proxies("2", queue="b"), 0.0, "two")
        held.finish(second, done(second), 0.0)
        held.finish(first, done(first), 0.0)
        assert held.take_verdicts(9, "one") == [done(first)]
        assert held.take_verdicts(9, "two") == [done(second)]
        assert held.sent("one") == {"a"}
        assert (held.unsent("one"), held.unsent("two")) == (0, 1)

    def test_a_suspect_waits_until_the_jobs_of_all_shards_have_ended(self) -> None:
        held = self.two(threads=4)
        (other,) = held.receive(proxies("1", queue="b"), 0.0, "two")
        held.receive([], time.monotonic(), "one", suspect=True)
        held.finish(other, done(other), 0.0)
        assert (self.ask(held, "one"), self.ask(held, "two")) == (0, 0)
        held.take_verdicts(9, "two")
        held.sent("two")
        assert (self.ask(held, "two"), self.ask(held, "one")) == (0, 4), "only the suspect's shard may ask"


def test_after_an_outage_what_others_have_is_not_started_here() -> None:
    held = holdings(threads=1)
    held.receive([a_proxy("runs"), a_proxy("ours", token=3), a_proxy("lost", token=1)], 0.0)
    assert held.keep_only({"runs": 1, "ours": 3, "lost": 2}) == 1
    assert held.ahead == 1
    assert held.take_verdicts(9) == []
