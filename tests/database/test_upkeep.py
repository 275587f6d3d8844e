"""ANALYZE and VACUUM, and old rows of histories, on both databases."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine, text

from database import history_retention
from database.deliveries import Deliveries, Delivery
from database.engine import read_session, write_session
from database.history_retention import HistoryRetention
from database.mailboxes import Mailboxes
from database.models import Base
from database.upkeep import analyze

NOW = datetime.now(UTC)


def delivered(engine: Engine, name: str, at: datetime) -> None:
    Deliveries(engine, "acme").record_attempt(Delivery(name, "e", "j", 1, "delivered", 5, at))


def test_the_planner_gets_its_figures(engine: Engine) -> None:
    for number in range(3):
        delivered(engine, f"w-{number}", NOW)
    done = analyze(engine)

    assert done.tables == len(Base.metadata.tables)
    assert done.bytes > 0
    asked = {
        "sqlite": "SELECT count(*) FROM sqlite_stat1 WHERE tbl = 'webhook_deliveries'",
        "postgresql": "SELECT count(*) FROM pg_stats WHERE tablename = 'webhook_deliveries'",
    }
    with read_session(engine) as session:
        assert session.execute(text(asked[engine.dialect.name])).scalar_one() > 0


def test_transactions_are_as_before_once_it_is_done(engine: Engine) -> None:
    delivered(engine, "w", NOW)
    analyze(engine)
    with suppress(RuntimeError), write_session(engine) as session:
        session.execute(text("DELETE FROM webhook_deliveries"))
        raise RuntimeError
    assert Deliveries(engine, "acme").history("w"), "rolled back"


def test_a_history_loses_its_old_rows_in_chunks(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_retention, "CHUNK", 2)
    for days in (9, 8, 7, 1, 0):
        delivered(engine, "w", NOW - timedelta(days=days))
    assert list(HistoryRetention(engine).deliveries(timedelta(days=5))) == [2, 1]
    assert len(Deliveries(engine, "acme").history("w")) == 2


def test_a_mailboxs_last_sync_stays(engine: Engine) -> None:
    Mailboxes(engine, "acme").start_sync("job", "ada", "inbox")
    assert list(HistoryRetention(engine).syncs(timedelta(days=1))) == []
    assert list(HistoryRetention(engine).syncs(timedelta(seconds=-1))) == [1]
