"""Migrations, on both databases."""

import multiprocessing
from multiprocessing.synchronize import Barrier

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Engine, inspect, text

from database.audit import AuditReader
from database.engine import make_engine, write_session
from database.errors import DatabaseOutdated
from database.migrations import downgrade, migrate, pending
from database.models import Base


def test_a_new_database_is_brought_to_this_release_once(empty_engine: Engine) -> None:
    assert pending(empty_engine)
    assert migrate(empty_engine) is True
    assert not pending(empty_engine)
    assert migrate(empty_engine) is False


def test_the_migrations_make_what_the_models_say(engine: Engine) -> None:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
        made = inspect(connection)
        checks = made.get_check_constraints("email_sync_history")
        assert [check["name"] for check in checks] == ["ck_email_sync_history_status"]


def test_the_way_back_leaves_nothing(engine: Engine) -> None:
    downgrade(engine, "base")
    with engine.connect() as connection:
        assert inspect(connection).get_table_names() == ["alembic_version"]
    assert migrate(engine) is True


def test_a_migration_that_fails_changes_nothing(empty_engine: Engine) -> None:
    with write_session(empty_engine) as session:
        session.execute(text("CREATE TABLE adjustments (n INTEGER)"))  # in the last one's way
    with pytest.raises(Exception, match="adjustments"):
        migrate(empty_engine)
    with empty_engine.connect() as connection:
        assert inspect(connection).get_table_names() == ["adjustments"]


def test_a_database_of_a_newer_release_is_left_alone(engine: Engine) -> None:
    with write_session(engine) as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert not pending(engine)
    assert migrate(engine) is False


@pytest.mark.timeout(180)
def test_many_processes_may_migrate_at_once(database_url: str) -> None:
    processes = 4
    spawn = multiprocessing.get_context("spawn")
    barrier = spawn.Barrier(processes)
    results = spawn.Queue()
    started = [
        spawn.Process(target=_migrate, args=(database_url, barrier, results)) for _ in range(processes)
    ]
    for process in started:
        process.start()
    answers = [results.get(timeout=150) for _ in started]
    for process in started:
        process.join()
    assert sorted(answers) == [*["False"] * (processes - 1), "True"]


def _migrate(url: str, barrier: Barrier, results: "multiprocessing.Queue[str]") -> None:
    engine = make_engine(url)
    barrier.wait(120)
    try:
        results.put(str(migrate(engine)))
    except BaseException as error:
        results.put(repr(error))
    engine.dispose()


def test_reading_before_migrating_says_what_to_do(empty_engine: Engine) -> None:
    with pytest.raises(DatabaseOutdated, match="migrate it"):
        AuditReader(empty_engine).attempts("job-1")
