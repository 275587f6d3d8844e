"""What one process says of the jobs it held: how they ended, which it hands back, which it does not start."""

import time

import pytest

from broker.proxy import JobProxy
from broker.worker.holdings import PATIENCE_S, SEND_AT
from broker.worker.pace import SHORT_S
from broker.worker.solitude import ASK_EVERY_S
from jobs.model import Outcome, Verdict
from jobs.rules import QueueRules
from tests.broker.hands import a_proxy
from tests.broker.held import asked, done, holdings, proxies, run_many


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


def test_a_verdict_that_gives_others_a_place_waits_for_no_company() -> None:
    held = holdings(threads=2, q=QueueRules(concurrency=100), capped=QueueRules(global_concurrency=1))
    run_many(held, SHORT_S / 10)
    (capped,) = held.receive(proxies("capped", queue="capped"), 0.0)
    (short,) = held.receive(proxies(*map(str, range(90))), 0.0)
    assert not held.finish(short, done(short), 0.0)[1]
    assert held.finish(capped, done(capped), 0.0)[1]


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

    def test_a_turn_that_went_to_another_process_is_over(self) -> None:
        held = holdings(threads=4)
        held.receive([], time.monotonic(), suspect=True)
        assert held.alone
        assert asked(held) is not None, "it is empty, so it may ask"
        held.receive([], time.monotonic())
        assert not held.alone

    def test_a_process_that_is_not_empty_yet_asks_now_and_then_whether_it_still_shall(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        held = holdings(threads=4)
        since = time.monotonic()
        held.receive(proxies("long"), since, suspect=True)
        monkeypatch.setattr("broker.worker.holdings.time.monotonic", lambda: since + ASK_EVERY_S - 0.1)
        assert asked(held) is None
        monkeypatch.setattr("broker.worker.holdings.time.monotonic", lambda: since + ASK_EVERY_S)
        assert asked(held) == (3, {"q": 99})
        held.receive([], since + ASK_EVERY_S, suspect=True)
        assert asked(held) is None, "it shall"
        monkeypatch.setattr("broker.worker.holdings.time.monotonic", lambda: since + 2 * ASK_EVERY_S)
        assert asked(held) is not None
        held.receive(proxies("another"), since + 2 * ASK_EVERY_S)
        assert asked(held) == (2, {"q": 98}), "it need not any more"

    def test_it_asks_also_for_the_suspects_of_queues_that_have_no_room(self) -> None:
        held = holdings(threads=4, q=QueueRules(concurrency=100), full=QueueRules(concurrency=1))
        held.receive(proxies("long", queue="full"), time.monotonic() - ASK_EVERY_S, suspect=True)
        assert asked(held) == (3, {"q": 100, "full": 0})

    def test_after_a_suspect_it_asks_for_the_next_one_first(self) -> None:
        held = holdings(threads=4)
        (started,) = held.receive([self.suspect()], time.monotonic())
        held.finish(started, done(started), 0.0)
        held.take_verdicts(9)
        held.sent()
        assert held.alone
        assert asked(held) == (4, {"q": 100})
        (second,) = held.receive([self.suspect("second")], time.monotonic())
        assert asked(held) is None
        held.finish(second, done(second), 0.0)
        held.take_verdicts(9)
        held.sent()
        assert asked(held) == (4, {"q": 100})
        held.receive(proxies("other"), time.monotonic())
        assert not held.alone

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


def test_after_an_outage_what_others_have_is_not_started_here() -> None:
    held = holdings(threads=1)
    held.receive([a_proxy("runs"), a_proxy("ours", token=3), a_proxy("lost", token=1)], 0.0)
    assert held.keep_only({"runs": 1, "ours": 3, "lost": 2}) == 1
    assert held.ahead == 1
    assert held.take_verdicts(9) == []
