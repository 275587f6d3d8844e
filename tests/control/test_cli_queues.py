"""`callboard queues`, `tenants` and `workers`: seeing them, pausing, emptying, limits."""

import json
import os
import signal

import pytest

from actors import app
from database.adjustments import Adjustments
from jobs.model import FetchRequest, NewJob, Scope, WorkerInfo
from jobs.rules import Rate
from tests.control.board import work
from tests.control.running import command, on_a_terminal, refused, running
from tests.tables import give_tables

QUEUE = "email-sync"


@pytest.fixture
def ready(memory):
    """A store in memory, and a database with all tables."""
    give_tables(app.engine())
    return memory


def put(store, times, **options):
    ids = [f"j{number:05}" for number in range(times)]
    store.enqueue([NewJob(job_id, QUEUE, "email_sync", b"", **options) for job_id in ids])


def test_queues_are_listed_with_what_is_paused(here, ready):
    put(ready, 2)
    here("queues", "pause", QUEUE)

    lines = here("queues", "list").stdout.splitlines()

    assert lines[0].split()[:4] == ["queue", "waiting", "resting", "active"]
    (row,) = [line.split() for line in lines if line.startswith(QUEUE)]
    assert (row[1], row[-1]) == ("2", "paused")


def test_one_queue_shows_all_its_counts(here, memory):
    put(memory, 2)
    work(memory, QUEUE)

    shown = json.loads(here("queues", "show", QUEUE, "--json").stdout)

    assert (shown["waiting"], shown["completed"], shown["completedPerMinute"] > 0) == (1, 1, True)
    assert "completedPerMinute" in here("queues", "show", QUEUE).stdout


def test_lanes_show_each_tenant(here, memory):
    put(memory, 3, lane="acme")

    assert here("queues", "lanes", QUEUE).stdout.splitlines()[1].split()[:2] == ["acme", "3"]
    assert "did you mean email-sync" in refused(here("queues", "lanes", "email-sinc"))
    assert here("queues", "lanes", "report-generate").stdout == "no tenant has work in report-generate\n"


def test_a_queue_is_paused_and_resumed(here, ready):
    assert here("queues", "pause", QUEUE).stdout == "paused email-sync\n"
    assert ready.stats([QUEUE])[0].paused

    assert here("queues", "resume", QUEUE).stdout == "resumed email-sync\n"
    assert not ready.stats([QUEUE])[0].paused


def test_a_tenant_is_paused_in_one_queue_or_in_all(here, ready):
    assert here("tenants", "pause", "acme", "--queue", QUEUE).stdout == "paused 'acme' in email-sync\n"
    assert list(ready.adjustments()) == [Scope(QUEUE, "acme")]

    here("tenants", "pause", "acme")
    assert Scope("report-generate", "acme") in ready.adjustments()

    here("tenants", "resume", "acme")
    assert ready.adjustments() == {}


class TestEmptying:
    def test_a_drain_says_first_how_many_it_would_remove(self, here, memory):
        put(memory, 3)

        result = here("queues", "drain", QUEUE)

        assert (result.returncode, result.stdout) == (0, "email-sync: 3 waiting\nadd --yes to remove them\n")
        assert memory.stats([QUEUE])[0].waiting == 3

    def test_with_yes_it_removes_them(self, here, memory):
        put(memory, 1_200)

        assert here("queues", "drain", QUEUE, "--yes").stdout.splitlines()[-1] == "1,200 jobs removed"
        assert memory.stats([QUEUE])[0].waiting == 0

    def test_delayed_jobs_may_stay(self, here, memory):
        put(memory, 2, delay_ms=60_000)

        assert "0 jobs removed" in here("queues", "drain", QUEUE, "--keep-delayed", "--yes").stdout
        assert "2 jobs removed" in here("queues", "drain", QUEUE, "--yes").stdout

    def test_ctrl_c_ends_it_after_the_chunk_under_way_and_says_what_was_done(self, here, memory, monkeypatch):
        put(memory, 2_500)
        drain = memory.drain

        def and_press(queue, *, delayed, limit):
            os.kill(os.getpid(), signal.SIGINT)
            return drain(queue, delayed=delayed, limit=limit)

        monkeypatch.setattr(memory, "drain", and_press)

        result = here("queues", "drain", QUEUE, "--yes")

        assert result.returncode == 130
        assert result.stdout.splitlines()[-1] == "stopped: 1,000 of 2,500 jobs removed; run it again to go on"
        assert memory.stats([QUEUE])[0].waiting == 1_500

    def test_old_jobs_of_a_state_are_cleaned(self, here, memory):
        put(memory, 3)
        for _ in range(3):
            work(memory, QUEUE)
        wanted = ("queues", "clean", QUEUE, "--state", "completed", "--keep", "1")

        assert "up to 2 completed jobs" in here(*wanted).stdout
        assert here(*wanted, "--older-than", "1h", "--yes").stdout.splitlines()[-1] == "0 jobs removed"
        assert here(*wanted, "--yes").stdout.splitlines()[-1] == "2 jobs removed"

    def test_a_queue_is_obliterated_only_with_its_name(self, here, ready):
        put(ready, 3)
        ready.fetch(FetchRequest("w1", "t1", 1, {QUEUE: 1}))

        assert "confirm with its name, which is email-sync" in refused(
            here("queues", "obliterate", QUEUE, "--confirm", "email")
        )
        assert "Missing option '--confirm'" in refused(here("queues", "obliterate", QUEUE), 2)
        assert ready.stats([QUEUE])[0].waiting == 2

        assert here("queues", "obliterate", QUEUE, "--confirm", QUEUE).stdout.splitlines() == [
            "email-sync: 2 jobs; 1 that run stay",
            "2 jobs removed",
            "ids that their senders gave stay taken for 7 days",
        ]

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (("clean", QUEUE, "--state", "active"), "state: Input should be 'waiting', 'delayed'"),
            (
                ("clean", QUEUE, "--state", "failed", "--older-than", "old"),
                "older-than: it must be a duration",
            ),
            (("drain", "email-sinc", "--yes"), "did you mean email-sync"),
            (("drain", "email", "--yes"), "stands for several queues"),
        ],
    )
    def test_what_is_wrong_is_said_in_one_sentence(self, here, memory, arguments, says):
        assert says in refused(here("queues", *arguments))


class TestLimits:
    def test_they_are_changed_and_shown_with_who_did_it(self, here, ready):
        changed = here("queues", "set", QUEUE, "--cap", "3", "--rate", "none", "--lane-rate", "5/s")

        rows = {line.split()[0]: line for line in changed.stdout.splitlines()}
        assert "adjusted by" in rows["cap"]
        assert rows["rate"].split()[1] == "none"
        assert rows["laneCap"].split()[1:] == ["none", "settings"]
        assert ready.adjustments() == {Scope(QUEUE): {"cap": 3, "rate": 0, "lane_rate": Rate(5, 1_000)}}

        here("queues", "set", QUEUE, "--cap", "settings", "--rate", "settings", "--lane-rate", "settings")
        assert ready.adjustments() == {}

    def test_those_of_gates_and_of_each_process_are_changed_too(self, here, ready):
        numbers = ("--gate-cap", "2", "--gate-rate", "none", "--concurrency", "4", "--worker-rate", "5/s")
        changed = here("queues", "set", QUEUE, *numbers)

        rows = {line.split()[0]: line.split()[1] for line in changed.stdout.splitlines()}
        assert (rows["gateCap"], rows["gateRate"]) == ("2", "none")
        assert (rows["concurrency"], rows["workerRate"]) == ("4", "5/s")
        assert ready.process_rules([QUEUE]) == {QUEUE: {"concurrency": 4, "worker_rate": Rate(5, 1_000)}}

    def test_a_tenants_limits_are_changed(self, here, ready):
        shown = here("tenants", "set", "acme", "--queue", QUEUE, "--weight", "2", "--cap", "none").stdout

        assert shown.splitlines()[2].split()[:2] == ["weight", "2"]
        assert ready.adjustments() == {Scope(QUEUE, "acme"): {"weight": 2, "cap": 0}}
        assert json.loads(here("queues", "limits", QUEUE, "--tenant", "acme", "--json").stdout)["tenantId"]
        assert "changed 'acme' in" in here("tenants", "set", "acme", "--weight", "0.5").stdout

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (("--cap", "many"), "cap: Input should be a valid integer"),
            (("--rate", "fast"), 'rate: must be a rate such as "10/s"'),
            (("--priority", "11"), "priority: Input should be less than or equal to 10"),
            (("--concurrency", "0"), "concurrency: Input should be greater than or equal to 1"),
            (("--worker-rate", "fast"), 'workerRate: must be a rate such as "10/s"'),
            (
                (),
                "give at least one of priority, cap, rate, laneCap, laneRate, gateCap, gateRate, concurrency",
            ),
        ],
    )
    def test_what_is_wrong_is_said_in_one_sentence(self, here, ready, arguments, says):
        assert says in refused(here("queues", "set", QUEUE, *arguments))

    def test_a_database_that_is_not_migrated_is_said(self, here, memory):
        assert "migrate it" in refused(here("queues", "pause", QUEUE))

    def test_a_restore_shows_the_differences_and_mends_them_with_yes(self, here, ready):
        here("queues", "set", QUEUE, "--cap", "3")
        ready.adjust(Scope(QUEUE), {"cap": 4})

        assert here("queues", "restore").stdout.splitlines() == [
            "email-sync: cap is 4, kept is 3",
            "add --yes to let the store follow what is kept",
        ]
        assert here("queues", "restore", "--yes").stdout.splitlines()[-1] == "restored: 1"
        assert ready.adjustments() == {Scope(QUEUE): {"cap": 3}}
        assert here("queues", "restore").stdout == "nothing differs\n"


class TestWorkers:
    def join(self, store, owner="w1", name="mail"):
        facts = {"actors": ("email_sync",), "running": 2, "memory_bytes": 52_428_800}
        info = WorkerInfo(owner, "host-1", 7, "0.1", 8, (QUEUE,), 1_000, name=name, **facts)
        store.register(info, lease_ms=60_000)

    def test_they_are_listed(self, here, memory):
        self.join(memory)

        row = here("workers", "list").stdout.splitlines()[1].split()

        assert row[:8] == ["mail", "host-1", "7", "0.1", "8", "2", "50", "MB"]

    def test_without_any_it_says_how_to_start_one(self, here, memory):
        assert "no worker is alive; start one with" in here("workers", "list").stdout

    def test_one_shows_the_jobs_it_holds(self, here, memory):
        self.join(memory)
        put(memory, 1)
        memory.fetch(FetchRequest("w1", "t1", 1, {QUEUE: 1}))

        assert json.loads(here("workers", "show", "mail", "--json").stdout)["jobs"] == ["j00000"]
        assert "j00000" in here("workers", "show", "w1").stdout

    def test_a_name_of_several_is_refused_with_their_owners(self, here, memory):
        self.join(memory)
        self.join(memory, "w2")

        assert "give one of their owners: w1, w2" in refused(here("workers", "show", "mail"))
        assert "no living worker is named 'w3'; alive: w1, w2" in refused(here("workers", "show", "w3"))


class TestOnARealServer:
    def test_pausing_limits_and_draining(self, here, reached):
        assert here("migrate").returncode == 0
        put(reached, 1_500, lane="acme")

        assert here("queues", "pause", QUEUE).returncode == 0
        assert here("tenants", "set", "acme", "--rate", "5/s").returncode == 0
        assert reached.adjustments()[Scope(QUEUE)] == {"paused": True}
        assert reached.adjustments()[Scope(QUEUE, "acme")] == {"rate": Rate(5, 1_000)}
        assert reached.fetch(FetchRequest("w1", "t1", 1, {QUEUE: 1})).jobs == []
        assert "queue email-sync is paused" in here("jobs", "why", "j00000").stdout
        assert here("queues", "restore").stdout == "nothing differs\n"
        assert here("queues", "lanes", QUEUE).stdout.splitlines()[1].split()[0] == "acme"

        assert here("queues", "drain", QUEUE, "--yes").stdout.endswith("1,500 jobs removed\n")

    def test_an_obliterated_queue_leaves_no_changed_limits(self, here, reached):
        here("migrate")
        put(reached, 1)
        here("queues", "set", QUEUE, "--cap", "2")
        here("tenants", "set", "acme", "--queue", QUEUE, "--cap", "2")

        result = here("queues", "obliterate", QUEUE, "--confirm", QUEUE)

        assert "1 job removed" in result.stdout.splitlines()
        assert reached.adjustments() == {}
        assert here("queues", "restore").stdout == "nothing differs\n"

    def test_a_long_drain_draws_a_bar_on_a_terminal(self, joined, board):
        put(board, 3_000)

        with on_a_terminal(command("queues", "drain", QUEUE, "--yes"), joined) as screen:
            assert screen.ended() == 0
            screen.line_with("3,000 jobs removed")
        assert any("━" in line for line in screen.lines)

    def test_doctor_shows_a_difference_and_how_to_mend_it(self, here, reached):
        here("migrate")
        here("queues", "set", QUEUE, "--cap", "2")
        assert "✓ changed limits" in here("doctor").stdout

        reached.adjust(Scope(QUEUE), {"cap": None})

        said = here("doctor").stdout
        assert "✗ changed limits: email-sync: cap is as in the settings, kept is 2" in said
        assert "callboard queues restore" in said

    def test_the_api_gives_a_new_store_what_was_changed(self, joined, reached, closed_port):
        give_tables(app.engine())
        Adjustments(app.engine()).write(Scope(QUEUE), {"paused": True}, "ada")

        with running(command("api"), {**joined, "CALLBOARD_API__PORT": str(closed_port)}) as run:
            run.line_with("pauses and limits restored: 1")

        assert reached.stats([QUEUE])[0].paused
