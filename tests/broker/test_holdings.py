"""What one process asks for and holds ahead, of one server or of several."""

import time
from types import SimpleNamespace
from typing import Any

import pytest

from broker.worker.holdings import Holdings
from broker.worker.pace import MOST_AHEAD, SHORT_S, Pace
from broker.worker.turns import WAIT_S
from jobs.model import Outcome
from jobs.rules import QueueRules, Rate
from tests.broker.held import asked, done, holdings, proxies, run_many


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


def test_a_job_that_no_thread_came_to_before_the_end_goes_back_unspent() -> None:
    held = holdings(threads=1)
    (one,) = held.receive(proxies("one"), 0.0)
    held.stop_accepting()
    held.never_began(one)
    assert held.running == 0
    assert [verdict.outcome for verdict in held.take_verdicts(10)] == [Outcome.RETURNED]
    held.never_began(one)
    assert held.take_verdicts(10) == []


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
    run_many(held, SHORT_S / 100)
    assert asked(held) == (2 + MOST_AHEAD, {"q": 100 + MOST_AHEAD})
    run_many(held, SHORT_S * 10, count=3)
    assert asked(held) == (2, {"q": 100})


def test_of_a_queue_with_a_cap_over_all_workers_nothing_is_ever_held_ahead() -> None:
    held = holdings(threads=2, q=QueueRules(concurrency=100), capped=QueueRules(2, global_concurrency=2))
    run_many(held, SHORT_S / 100)
    request = held.request("w", "token", 1_000)
    assert request is not None
    assert request.queues == {"q": 100 + MOST_AHEAD, "capped": 2}


def test_a_job_that_waited_its_turn_among_many_short_ones_is_no_long_one() -> None:
    held = holdings(threads=2)
    run_many(held, SHORT_S / 100)
    (slow,) = held.receive(proxies("slow"), 100.0)
    for number in range(40):
        (quick,) = held.receive(proxies(f"quick {number}"), 100.0)
        held.finish(quick, done(quick), 100.0)
    held.finish(slow, done(slow), 100.0 + SHORT_S * 10)
    for _ in range(3):
        (quick,) = held.receive(proxies("quick"), 100.0)
        held.finish(quick, done(quick), 100.0)
        assert asked(held) == (2 + MOST_AHEAD, {"q": 100 + MOST_AHEAD})


@pytest.mark.parametrize(
    ("seconds", "at_once", "ahead"),
    [
        (SHORT_S / 10, 8, MOST_AHEAD),
        (SHORT_S / 2, 8, 192),
        (SHORT_S * 0.99, 8, 96),
        (SHORT_S / 2, 1, 24),
        (SHORT_S * 2, 8, 0),
    ],
)
def test_no_more_is_held_ahead_than_a_process_is_through_with_in_24_ms(
    seconds: float, at_once: int, ahead: int
) -> None:
    pace = Pace(8)
    assert pace.ahead() == 0
    for number in range(200):
        pace.observe(seconds, at_once, ended=number)
    assert pace.ahead() == ahead
    pace.too_far()
    assert pace.ahead() == 0


def test_jobs_that_one_pause_of_the_process_held_up_count_as_one_long_job() -> None:
    pace = Pace(8)
    for number in range(200):
        pace.observe(SHORT_S / 100, ended=number)
    for number in range(8):
        pace.observe(SHORT_S * 3, ended=300 + number * SHORT_S / 10)
    assert pace.ahead() == MOST_AHEAD


def test_long_jobs_that_end_one_after_the_other_count_each() -> None:
    pace = Pace(8)
    for number in range(200):
        pace.observe(SHORT_S / 100, ended=number)
    for number in range(3):
        pace.observe(SHORT_S * 3, ended=300 + number * SHORT_S * 1.1)
    assert pace.ahead() == 0


def test_threads_and_what_would_be_held_ahead_are_asked_for_apart() -> None:
    held = holdings(threads=4)
    run_many(held, SHORT_S / 100)
    held.receive(proxies("one"), 0.0)
    request = held.request("w", "token", 1_000)
    assert request is not None
    assert (request.credits, request.ahead, request.busy) == (3, MOST_AHEAD, True)


def test_short_jobs_are_asked_for_while_every_thread_works() -> None:
    held = holdings(threads=2)
    run_many(held, SHORT_S / 100)
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
    run_many(held, SHORT_S / 100)
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


class TestShards:
    """Two servers, one process: they share its threads."""

    @pytest.fixture(autouse=True)
    def now(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        """The time, which stands still unless the test moves it."""
        now = [0.0]
        monkeypatch.setattr("broker.worker.holdings.time", SimpleNamespace(monotonic=lambda: now[0]))
        return now

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

    @pytest.mark.parametrize("job_s", [0.0, 10.0])
    def test_where_both_have_work_they_take_turns(self, now: list[float], job_s: float) -> None:
        """However long the jobs are: a shard that asked in vain is waited for from when a thread is free."""
        held, queues, served = self.two(threads=1), {"one": "a", "two": "b"}, ["one"]
        assert (self.ask(held, "one"), self.ask(held, "two")) == (1, 0)
        while len(served) < 6:
            shard, other = served[-1], "two" if served[-1] == "one" else "one"
            (proxy,) = held.receive(proxies(str(len(served)), queue=queues[shard]), now[0], shard)
            assert self.ask(held, shard) + self.ask(held, other) == 0
            now[0] += job_s
            held.finish(proxy, done(proxy), now[0])
            served += [name for name in (shard, other) if self.ask(held, name)]
        assert served == ["one", "two"] * 3

    def test_a_shard_that_does_not_come_for_its_thread_is_not_waited_for(self, now: list[float]) -> None:
        held = self.two(threads=1)
        assert self.ask(held, "one") == 1
        assert self.ask(held, "two") == 0
        held.receive([], now[0], "one")
        assert self.ask(held, "one") == 0, "it is the other's turn"
        now[0] += WAIT_S
        assert self.ask(held, "one") == 1

    def test_nor_is_it_waited_for_again_before_it_has_asked_again(self, now: list[float]) -> None:
        held = self.two(threads=1)
        assert (self.ask(held, "one"), self.ask(held, "two")) == (1, 0)
        held.receive([], now[0], "one")
        assert self.ask(held, "one") == 0
        now[0] += WAIT_S
        for _ in range(3):
            assert self.ask(held, "one") == 1
            held.receive([], now[0], "one")
        assert (self.ask(held, "one"), self.ask(held, "two")) == (1, 0)
        held.receive([], now[0], "one")
        assert self.ask(held, "one") == 0

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

    def test_a_suspect_waits_until_the_jobs_of_all_shards_have_ended(self, now: list[float]) -> None:
        held = self.two(threads=4)
        (other,) = held.receive(proxies("1", queue="b"), 0.0, "two")
        held.receive([], now[0], "one", suspect=True)
        held.finish(other, done(other), 0.0)
        assert (self.ask(held, "one"), self.ask(held, "two")) == (0, 0)
        held.take_verdicts(9, "two")
        held.sent("two")
        assert (self.ask(held, "two"), self.ask(held, "one")) == (0, 4), "only the suspect's shard may ask"

    def test_a_shard_that_wants_it_empty_and_does_not_answer_keeps_it_from_no_other(
        self, now: list[float]
    ) -> None:
        held = self.two(threads=4)
        held.receive([], now[0], "one", suspect=True)
        assert (self.ask(held, "two"), self.ask(held, "one")) == (0, 4)
        held.not_received("one")
        assert self.ask(held, "two") > 0

    def test_while_the_outcome_of_a_suspect_cannot_be_stored_the_other_shards_go_on(self) -> None:
        held = self.two(threads=4)
        (suspect,) = proxies("suspect", queue="a")
        suspect.job = suspect.job._replace(lost_leases=1)
        assert held.receive([suspect], 0.0, "one") == [suspect]
        held.not_received("one")
        assert self.ask(held, "two") == 0, "it runs"
        held.finish(suspect, done(suspect), 0.0)
        held.take_verdicts(9, "one")
        held.not_sent("one")
        assert self.ask(held, "one") == 0
        assert self.ask(held, "two") > 0
        assert held.receive(proxies("other", queue="b"), 0.0, "two") != [], "and start what they bring"
        assert held.take_verdicts(9, "one") == [done(suspect)]
        held.sent("one")
        assert self.ask(held, "one") > 0


# What is kept for this process, changed while it runs


def test_a_changed_concurrency_counts_for_the_next_start() -> None:
    held = holdings(threads=8, q=QueueRules(concurrency=2))
    one, two = held.receive(proxies("one", "two"), 0.0)
    assert asked(held) is None
    assert held.adjust({"q": {"concurrency": 4}})
    assert asked(held) == (6, {"q": 2})
    held.not_received()
    assert held.adjust({"q": {"concurrency": 1}})
    held.finish(one, done(one), 0.0)
    assert asked(held) is None, "another one runs"
    held.finish(two, done(two), 0.0)
    assert asked(held) == (8, {"q": 1})
    assert held.adjust({})
    assert asked(held) == (8, {"q": 2})
    assert not held.adjust({}), "nothing has changed"


def test_of_queues_that_share_the_lowest_number_counts() -> None:
    held = holdings(
        threads=8, a=QueueRules(concurrency=4, share="pair"), b=QueueRules(concurrency=4, share="pair")
    )
    held.adjust({"a": {"concurrency": 6}, "b": {"concurrency": 2}})
    assert asked(held) == (8, {"a": 1, "b": 1})
    held.not_received()
    held.adjust({"a": {"concurrency": 6}, "b": {"concurrency": 6}})
    assert asked(held) == (8, {"a": 3, "b": 3})


def test_what_was_adjusted_before_a_queue_is_served_counts_from_its_first_job() -> None:
    held = Holdings(8, lambda queue: QueueRules())
    held.adjust({"late": {"concurrency": 1}})
    held.serve("late")
    assert asked(held) == (8, {"late": 1})


def test_a_process_asks_for_no_more_than_its_own_rate_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1_000.0]
    monkeypatch.setattr("broker.worker.rooms.time.monotonic", lambda: now[0])
    held = holdings(threads=8, q=QueueRules(8, worker_rate=Rate(3, 10_000)), free=QueueRules(concurrency=1))
    assert asked(held) == (8, {"q": 3, "free": 1})
    (one,) = held.receive(proxies("one"), now[0])
    held.finish(one, done(one), now[0])
    now[0] += 4
    assert asked(held) == (8, {"q": 2, "free": 1})
    two, three = held.receive(proxies("two", "three", "four"), now[0])
    assert (two.message_id, three.message_id) == ("two", "three"), "never more than three in ten seconds"
    assert held.hand_back_stale(now[0] + 1)
    assert asked(held) == (6, {"free": 1})
    assert held.open_queues() == ["free"]
    held.not_received()
    assert held.opens_at() == 1_010.0
    now[0] = 1_010.0
    assert asked(held) == (6, {"q": 1, "free": 1})


def test_a_rate_of_this_process_can_be_set_and_lifted() -> None:
    held = holdings(threads=8, q=QueueRules(concurrency=8))
    held.adjust({"q": {"worker_rate": Rate(1, 600_000)}})
    assert held.rated
    held.receive(proxies("one"), time.monotonic())
    assert asked(held) is None
    assert held.opens_at() > time.monotonic() + 500
    held.adjust({"q": {"worker_rate": 0}})
    assert asked(held) == (7, {"q": 7})
    assert not held.rated
    assert held.opens_at() == float("inf")


def test_a_suspect_starts_whatever_the_rate_and_counts() -> None:
    """It was given to a process that is empty, and would come back to it again and again."""
    held = holdings(threads=8, q=QueueRules(8, worker_rate=Rate(1, 600_000)))
    (one,) = held.receive(proxies("one"), time.monotonic())
    held.finish(one, done(one), time.monotonic())
    held.take_verdicts(9)
    held.sent()
    (suspect,) = proxies("suspect")
    suspect.job = suspect.job._replace(lost_leases=1)
    assert held.receive([suspect], time.monotonic()) == [suspect]
