"""Dead letters that are looked at by cause, run again (changed first, or canary first), or discarded."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from actors.declare import actor
from control.service import AuditReports, Canary, CanaryView, Replay
from control.service.canary import State
from control.service.edits import Edit
from control.service.letters import Letters
from control.service.replay import Tally
from control.service.requests import DiscardRequest, ReplayRequest
from jobs.errors import InvalidPayload
from jobs.states import JobState
from tests.control.letters import Board, a_board

WAITING, FAILED, COMPLETED = JobState.WAITING, JobState.FAILED, JobState.COMPLETED


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Board]:
    with a_board(monkeypatch, tmp_path) as board:
        yield board


def cause_of(board: Board, job_id: str) -> str:
    page = Letters(board.app).page(board.wanted(), 1_000)
    return next(one.fingerprint for one in page.letters if one.id == job_id)


class TestLooking:
    def test_dead_letters_are_grouped_by_what_went_wrong(self, board: Board) -> None:
        board.die(3, tenant_id="acme")
        board.die(1, start=10)
        board.refund.send("c1")
        board.jobs.run_all()
        view = Letters(board.app).groups(board.wanted())
        assert [(one.count, one.error_type, one.error_code, one.actors) for one in view.groups] == [
            (4, "PermanentError", "permanent", ["charge"]),
            (1, "LookupError", "exhausted", ["refund"]),
        ]
        assert (view.groups[0].tenants, view.complete) == (1, True)
        assert view.groups[0].error_message == "the bank said no"

    def test_a_filter_may_name_the_cause_or_the_kind(self, board: Board) -> None:
        (charged,) = board.die(1)
        refunded = board.refund.send("c1").message_id
        board.jobs.run_all()
        letters = Letters(board.app)

        def found(**given: Any) -> list[str]:
            return [one.id for one in letters.page(board.wanted(**given), 100).letters]

        assert found(fingerprint=cause_of(board, charged)) == [charged]
        assert found(error_code="exhausted") == [refunded]
        assert found(error_code="exhausted", fingerprint=cause_of(board, charged)) == []

    def test_pages_lead_on(self, board: Board) -> None:
        ids = board.die(7)
        letters, seen, after = Letters(board.app), list[str](), None
        while after is not None or not seen:
            page = letters.page(board.wanted(), 3, after)
            seen += [one.id for one in page.letters]
            after = page.next
        assert sorted(seen) == sorted(ids)


class TestRunningAgain:
    def test_the_arguments_may_be_changed_first(self, board: Board) -> None:
        ids = board.die(2)
        board.bank.broken = {"c0", "c1"}
        edit = Edit(patch={"customer": "new"}, words={"cents": "250"})
        assert sum(Replay(board.app, "ada").run(board.wanted(), board.newest(), edit)) == 2
        board.jobs.run_all()
        assert board.states(ids) == {COMPLETED: 2}
        assert board.bank.charged == [("new", 250), ("new", 250)]

    def test_null_takes_an_argument_away_so_that_its_default_holds(self, board: Board) -> None:
        board.die(1)
        board.bank.broken = set()
        sum(Replay(board.app, "ada").run(board.wanted(), board.newest(), Edit(patch={"cents": None})))
        board.jobs.run_all()
        assert board.bank.charged == [("c0", 1)]

    @pytest.mark.parametrize(
        ("edit", "reason"),
        [
            (Edit(words={"cents": "many"}), "charge cannot take these arguments: cents"),
            (Edit(patch={"custmer": "c9"}), "charge cannot take these arguments"),
            (Edit(patch={"customer": None}), "charge cannot take these arguments: customer"),
        ],
    )
    def test_what_does_not_fit_the_contract_stays_as_it_is_and_is_told(
        self, board: Board, edit: Edit, reason: str
    ) -> None:
        ids, tally = board.die(2), Tally()
        before = [board.jobs.store.get(job_id) for job_id in ids]
        assert sum(Replay(board.app, "ada").run(board.wanted(), board.newest(), edit, tally)) == 0
        assert [board.jobs.store.get(job_id) for job_id in ids] == before
        assert tally.reasons[0].startswith(f"2: {reason}")

    def test_a_job_whose_time_is_over_runs_again_when_that_is_lifted(self, board: Board) -> None:
        board.bank.broken = set()
        (late,) = board.send(1, expires=1_000, deadline=2_000)
        board.jobs.advance(5)
        board.jobs.run_all()
        replay = Replay(board.app, "ada")
        assert sum(replay.run(board.wanted(), board.newest())) == 1
        board.jobs.run_all()
        assert board.state(late) is FAILED
        assert sum(replay.run(board.wanted(), board.newest(), Edit(lift_times=True))) == 1
        board.jobs.run_all()
        assert board.state(late) is COMPLETED

    @pytest.mark.parametrize(
        ("options", "what"),
        [
            ({"gate": "gmail:{account}"}, "the gate of sync"),
            ({"unique": {"by": ["account"]}}, "the unique name of sync"),
            ({"unique": True}, "the unique name of sync"),
            ({"unique": {"by": ["account"], "mode": "latest"}}, "the unique name of sync"),
        ],
    )
    def test_what_its_gate_or_its_unique_name_is_made_of_cannot_be_changed(
        self, board: Board, options: dict[str, Any], what: str
    ) -> None:
        """The job would take the permit of one account for another, and a new job would be taken for it."""

        @actor(attempts=1, **options)
        def sync(account: str, folder: str = "inbox") -> None:
            raise LookupError

        message = sync.send("a1")
        board.jobs.run_all()
        before, tally = board.jobs.store.get(message.message_id), Tally()
        replay = Replay(board.app, "ada")
        wanted, newest = board.wanted(queue="sync"), 2**53
        assert sum(replay.run(wanted, newest, Edit(patch={"account": "a2"}), tally)) == 0
        assert board.jobs.store.get(message.message_id) == before
        keeps = "gate" if "gate" in what else "name"
        told = f"{what} is made of these arguments, and a job keeps its {keeps}; discard it"
        assert tally.reasons == [f"1: {told} and send a new one"]
        # A new one has the names of its own arguments.
        assert sync.send("a2").created

    @pytest.mark.parametrize(
        ("options", "call"),
        [
            ({"gate": "gmail:{account}"}, {}),
            ({"unique": {"by": ["account"]}}, {}),
            ({"unique": True}, {"unique": {"key": "of the caller"}}),
            ({"gate": "gmail:{folder}"}, {"gate": "gmail:of the caller"}),
        ],
    )
    def test_what_leaves_them_as_they_are_can_be_changed(
        self, board: Board, options: dict[str, Any], call: dict[str, Any]
    ) -> None:
        done, fails = list[str](), [LookupError()]

        @actor(attempts=1, **options)
        def sync(account: str, folder: str = "inbox") -> None:
            if fails:
                raise fails.pop()
            done.append(folder)

        message = sync.send_with_options(args=("a1",), **call)
        board.jobs.run_all()
        edit = Edit(patch={"account": "a1", "folder": "sent"})
        assert sum(Replay(board.app, "ada").run(board.wanted(queue="sync"), 2**53, edit)) == 1
        board.jobs.run_all()
        assert (board.state(message.message_id), done) == (COMPLETED, ["sent"])

    def test_a_page_at_a_time_counts_first(self, board: Board) -> None:
        ids = board.die(5)
        replay = Replay(board.app, "ada")
        counted = replay.replay_page(ReplayRequest(dry_run=True))
        assert (counted.matched, counted.done, board.states(ids)) == (5, 0, {FAILED: 5})
        first = replay.replay_page(ReplayRequest(limit=3))
        rest = replay.replay_page(ReplayRequest(limit=3))
        assert (first.done, rest.done, rest.next is None) == (3, 2, True)
        assert first.next is not None
        assert board.states(ids) == {WAITING: 5}

    def test_who_did_it_is_in_the_audit_without_any_value(self, board: Board) -> None:
        board.die(2)
        edit = Edit(patch={"customer": "secret-name"})
        sum(Replay(board.app, "ada").run(board.wanted(queue="charge"), board.newest(), edit))
        (act,) = AuditReports(board.app, "ada").actions()
        assert (act.operator, act.action, act.target, act.count) == ("ada", "dead.replay", "charge", 2)
        assert act.parameters == {"queue": "charge", "edited": ["customer"]}


class TestDiscarding:
    def test_they_are_removed_with_a_reason(self, board: Board) -> None:
        ids = board.die(3)
        answer = Replay(board.app, "ada").discard_page(DiscardRequest(queue="charge", reason="test orders"))
        assert (answer.matched, answer.done) == (3, 3)
        assert board.states(ids) == {None: 3}
        (act,) = AuditReports(board.app, "ada").actions()
        assert (act.action, act.reason, act.count) == ("dead.discard", "test orders", 3)

    def test_what_was_started_again_meanwhile_is_not_removed(
        self, board: Board, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ids = board.die(2)
        store = board.jobs.store
        remove = store.remove

        def late_remove(job_ids: Any, ended_by: int | None = None) -> list[bool]:
            store.retry_dead([ids[0]])  # another operator, just now
            return remove(job_ids, ended_by)

        monkeypatch.setattr(store, "remove", late_remove)
        assert sum(Replay(board.app, "ada").discard(board.wanted(), board.newest(), "old")) == 1
        assert [board.state(job_id) for job_id in ids] == [WAITING, None]


class TestCanary:
    """One, then ten, then all the others."""

    @staticmethod
    def drive(board: Board, steps: int = 100, edit: Edit | None = None, *, go_on: bool = False) -> list[int]:
        """How many were started after each step, until it stops."""
        canary, run, started = Canary(board.app, "ada"), None, []
        for _ in range(steps):
            view = canary.step(board.wanted(), edit or Edit(), run, go_on=go_on)
            started.append(view.started)
            if view.state != "waiting":
                assert view.next is None
                return [*dict.fromkeys(started)]
            run = view.next
            board.jobs.run_all()
        raise AssertionError("it goes on and on")

    def test_a_mended_actor_gets_one_then_ten_then_all(self, board: Board) -> None:
        ids = board.die(130)
        board.bank.broken = set()
        assert self.drive(board) == [1, 11, 61, 111, 130]
        assert board.states(ids) == {COMPLETED: 130}

    def test_it_stops_at_the_first_one_when_nothing_was_mended(self, board: Board) -> None:
        ids = board.die(30)
        assert self.drive(board) == [1]
        assert board.states(ids) == {FAILED: 30}

    @staticmethod
    def customer(board: Board, ids: list[str], place: int) -> str:
        """Whose job is at this place in the order of a replay."""
        order = [one.id for one in Letters(board.app).page(board.wanted(), 1_000).letters]
        return f"c{ids.index(order[place])}"

    def test_it_stops_among_the_ten_when_some_still_fail(self, board: Board) -> None:
        ids = board.die(30)
        board.bank.broken = {self.customer(board, ids, 5)}
        assert self.drive(board) == [1, 11]
        assert board.states(ids) == {COMPLETED: 10, FAILED: 20}

    def test_it_stops_among_all_the_others_too(self, board: Board) -> None:
        ids = board.die(300)
        board.bank.broken = {self.customer(board, ids, 40)}
        assert self.drive(board) == [1, 11, 61]
        assert board.states(ids)[FAILED] == 240

    @staticmethod
    def end_of(board: Board, *, go_on: bool = False) -> CanaryView:
        canary = Canary(board.app, "ada")
        view = canary.step(board.wanted(), go_on=go_on)
        while view.state == "waiting":
            board.jobs.run_all()
            view = canary.step(board.wanted(), run=view.next, go_on=go_on)
        return view

    def test_a_mend_that_breaks_something_else_stops_it_at_the_first_one_too(self, board: Board) -> None:
        ids = board.die(200)
        board.bank.broken, board.bank.otherwise = set(), True
        view = self.end_of(board)
        assert (view.state, view.started, view.failed_otherwise, view.next) == ("stopped", 1, 1, None)
        assert (view.returned, len(view.otherwise), view.otherwise[0] in ids) == ([], 1, True)
        assert view.message == "1 of 1 jobs failed by another cause than before; the others stay as they are"
        assert len([job_id for job_id in ids if board.runs(job_id) == 1]) == 199

    def test_one_of_the_ten_that_fails_otherwise_stops_it(self, board: Board) -> None:
        ids = board.die(30)
        board.bank.broken, board.bank.odd = set(), {self.customer(board, ids, 5)}
        assert self.drive(board) == [1, 11]
        assert board.states(ids) == {COMPLETED: 10, FAILED: 20}

    def test_among_the_others_a_few_other_failures_are_counted(self, board: Board) -> None:
        ids = board.die(100)
        board.bank.broken, board.bank.odd = set(), {self.customer(board, ids, n) for n in (40, 70)}
        view = self.end_of(board)
        assert (view.state, view.started, view.completed, view.failed_otherwise) == ("done", 100, 98, 2)
        assert view.message.endswith("failed as before, but 2 failed by another cause")

    def test_among_the_others_it_stops_when_more_fail_than_not(self, board: Board) -> None:
        ids = board.die(300)
        good = {self.customer(board, ids, n) for n in range(11)}
        board.bank.broken, board.bank.odd = set(), {f"c{n}" for n in range(300)} - good
        assert self.drive(board) == [1, 11, 61]
        assert board.states(ids) == {COMPLETED: 11, FAILED: 289}

    def test_it_goes_on_past_other_failures_when_it_is_told_to(self, board: Board) -> None:
        board.die(12)
        board.bank.broken, board.bank.otherwise = set(), True
        view = self.end_of(board, go_on=True)
        assert (view.state, view.started, view.failed_otherwise, view.completed) == ("done", 12, 12, 0)
        acts = AuditReports(board.app, "ada").actions()
        assert [act.parameters.get("go_on") for act in acts] == [True] * len(acts)

    def test_it_only_looks_while_the_jobs_run(self, board: Board) -> None:
        board.die(5)
        canary = Canary(board.app, "ada")
        first = canary.step(board.wanted())
        again = canary.step(board.wanted(), run=first.next)
        assert (again.state, again.started, again.running) == ("waiting", 1, 1)

    def test_a_failure_that_is_tried_again_counts_at_once(self, board: Board) -> None:
        """Nobody waits for the last of many attempts to know that nothing was mended."""
        board.charge.options["attempts"] = 5
        ids = board.die(3, attempts=5)

        def failing(customer: str, cents: int) -> None:
            raise ConnectionError

        board.bank.take = failing  # type: ignore[method-assign]
        for _ in range(9):
            board.jobs.run_all()
            board.jobs.advance(3_600)
        sum(Replay(board.app, "ada").run(board.wanted(), board.newest()))
        for _ in range(9):
            board.jobs.run_all()
            board.jobs.advance(3_600)
        assert board.states(ids) == {FAILED: 3}
        assert self.drive(board) == [1]
        assert board.states(ids) == {FAILED: 2, JobState.DELAYED: 1}

    def test_it_may_change_the_arguments_as_well(self, board: Board) -> None:
        ids = board.die(4)
        board.bank.broken = {f"c{n}" for n in range(4)}
        assert self.drive(board, edit=Edit(patch={"customer": "mended"})) == [1, 4]
        assert board.states(ids) == {COMPLETED: 4}

    def test_what_fails_anew_is_not_taken_a_second_time(self, board: Board) -> None:
        board.die(3)
        board.bank.broken, board.bank.otherwise = set(), True
        assert self.drive(board, go_on=True) == [1, 3]

    @pytest.mark.parametrize("run", ["nonsense", "W10", State(stage=9).write(), State(left=-1).write()])
    def test_a_run_that_was_made_up_is_refused(self, board: Board, run: str) -> None:
        with pytest.raises(InvalidPayload, match="run: give the 'next' of the answer before"):
            Canary(board.app, "ada").step(board.wanted(), run=run)
