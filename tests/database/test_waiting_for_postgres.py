"""A PostgreSQL that holds a lock, or takes too long, stops nobody: the call ends and is tried later."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import psycopg
import pytest
from sqlalchemy import Engine, text

import database.engine
import database.migrations
from broker.worker.relay import Relay
from database.audit import AuditWriter
from database.engine import read_session, write_session
from database.errors import DatabaseUnavailable
from database.migrations import migrate, pending
from jobs.memory import MemoryStore
from jobs.model import FetchRequest, NewJob, Outcome, Verdict
from tests.database.conftest import engine_at
from tests.waiting import eventually

pytestmark = pytest.mark.postgres

Limited = Callable[[str, float], Engine]


@pytest.fixture
def patient(postgres_database: str) -> Iterator[Engine]:
    """An engine on a database with all tables, whose limits are those of everybody."""
    with engine_at(postgres_database) as engine:
        migrate(engine)
        yield engine


@pytest.fixture
def impatient(patient: Engine, postgres_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Limited]:
    """Engines on it of which one limit is some tenths of a second: `impatient("LOCK_S", 0.2)`."""
    with ExitStack() as engines:

        def limited(name: str, seconds: float) -> Engine:
            monkeypatch.setattr(database.engine, name, seconds)
            return engines.enter_context(engine_at(postgres_database))

        yield limited


@pytest.fixture
def other(postgres_database: str) -> Iterator["psycopg.Connection[tuple[object, ...]]"]:
    """Another program's connection."""
    with psycopg.connect(postgres_database) as connection:
        yield connection


def test_the_limits_leave_a_relay_time_for_its_beat(postgres_database: str) -> None:
    with engine_at(postgres_database) as engine, read_session(engine) as session:
        shown = [
            session.execute(text(f"SHOW {name}")).scalar_one()
            for name in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
        ]
    assert shown == ["10s", "40s", "1min"]


def test_a_url_with_options_of_its_own_sets_them_alone(postgres_database: str) -> None:
    url = f"{postgres_database}?options=-c%20statement_timeout%3D7000"
    with engine_at(url) as engine, read_session(engine) as session:
        assert session.execute(text("SHOW statement_timeout")).scalar_one() == "7s"
        assert session.execute(text("SHOW lock_timeout")).scalar_one() == "0"


def test_a_lock_that_is_not_given_ends_the_call(
    impatient: Limited, other: "psycopg.Connection[tuple[object, ...]]"
) -> None:
    engine = impatient("LOCK_S", 0.2)
    other.execute("LOCK TABLE audit_chains IN ACCESS EXCLUSIVE MODE")
    with (
        pytest.raises(DatabaseUnavailable, match=r"lock timeout.*try again later"),
        write_session(engine) as session,
    ):
        session.execute(text("SELECT 1 FROM audit_chains FOR UPDATE"))
    other.rollback()
    with write_session(engine) as session:
        session.execute(text("SELECT 1 FROM audit_chains FOR UPDATE"))


def test_a_statement_that_takes_too_long_ends(impatient: Limited) -> None:
    with (
        pytest.raises(DatabaseUnavailable, match=r"statement timeout.*try again later"),
        read_session(impatient("STATEMENT_S", 0.5)) as session,
    ):
        session.execute(text("SELECT pg_sleep(30)"))


def test_a_transaction_that_was_given_up_is_one_to_try_again(impatient: Limited, patient: Engine) -> None:
    engine = impatient("IDLE_S", 0.3)
    with pytest.raises(DatabaseUnavailable, match=r"idle-in-transaction timeout.*try again later"):
        _dawdle(engine, patient)

    def done() -> bool:
        try:
            with write_session(engine) as session:
                return bool(session.execute(text("SELECT 1")).scalar_one())
        except DatabaseUnavailable:  # this process stood for so long
            return False

    eventually(done)


def _dawdle(engine: Engine, patient: Engine) -> None:
    def given_up() -> bool:
        with read_session(patient) as watching:
            idle = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"
            return int(watching.execute(text(idle)).scalar_one()) == 0

    with write_session(engine) as session:
        session.execute(text("SELECT 1"))
        eventually(given_up)
        session.execute(text("SELECT 1"))


def test_a_migration_has_all_the_time_it_needs(
    postgres_database: str, other: "psycopg.Connection[tuple[object, ...]]", monkeypatch: pytest.MonkeyPatch
) -> None:
    other.execute(f"SELECT pg_advisory_lock({database.migrations._LOCK_KEY})")
    other.commit()
    with engine_at(postgres_database) as patient, engine_at(postgres_database) as engine:
        patient.connect().close()  # it has the limits of everybody
        monkeypatch.setattr(database.engine, "LOCK_S", 0.2)
        monkeypatch.setattr(database.engine, "STATEMENT_S", 0.2)
        migrating = threading.Thread(target=migrate, args=(engine,))
        migrating.start()
        eventually(lambda: _waiting(other) or not migrating.is_alive())
        migrating.join(0.5)
        assert migrating.is_alive(), "it waits for the other one, whatever the limits"
        other.execute(f"SELECT pg_advisory_unlock({database.migrations._LOCK_KEY})")
        other.commit()
        migrating.join(50)
        assert not pending(patient)


def _waiting(watching: "psycopg.Connection[tuple[object, ...]]") -> bool:
    """Whether somebody waits for an advisory lock."""
    waiting = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    return watching.execute(waiting).rowcount > 0


def test_a_relay_keeps_its_beat_while_another_program_holds_the_lock(
    impatient: Limited,
    patient: Engine,
    other: "psycopg.Connection[tuple[object, ...]]",
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without a limit the process would be taken for one that hangs, and end itself."""
    monkeypatch.setattr("broker.worker.relay.BLOCK_MS", 50)
    monkeypatch.setattr("broker.worker.relay.TRY_AGAIN_LAST_S", 0.2)
    store, engine = MemoryStore(), impatient("LOCK_S", 0.2)
    relay = Relay(store, lambda: AuditWriter(engine), "audit", "process-1")
    other.execute("LOCK TABLE audit_chains IN ACCESS EXCLUSIVE MODE")
    store.enqueue([NewJob("one", "reports", "report", b"{}")])
    (job,) = store.fetch(FetchRequest("w", "t", 1, {"reports": 1})).jobs
    store.settle("w", [Verdict(job.id, job.token, Outcome.COMPLETED)])
    relay.start()
    for _ in range(3):
        before = relay.beat
        eventually(lambda: relay.beat > before)  # noqa: B023
    other.rollback()
    eventually(lambda: _rows(patient) == 1)
    relay.stop()
    relay.join(20)
    assert not relay.is_alive()


def _rows(engine: Engine) -> int:
    with read_session(engine) as session:
        return int(session.execute(text("SELECT count(*) FROM job_executions")).scalar_one())
