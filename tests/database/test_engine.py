"""Engines and transactions."""

import os
import stat
import threading
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from database.engine import make_engine, ping, read_session, write_session
from database.errors import DatabaseOutdated, DatabaseUnavailable, InvalidDatabaseUrl
from tests.database.conftest import Outage, engine_at
from tests.ports import free_port


def test_a_new_database_answers(empty_engine: Engine) -> None:
    ping(empty_engine)


def test_sqlite_writes_ahead_syncs_commits_and_keeps_foreign_keys(tmp_path: Path) -> None:
    with engine_at(f"sqlite:///{tmp_path}/a.db") as engine, engine.connect() as connection:
        values = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        ]
    assert values == ["wal", 2, 1, 10_000]


def test_the_folder_of_an_sqlite_file_is_made_and_the_file_is_private(tmp_path: Path) -> None:
    file = tmp_path / "new" / "folder" / "a.db"
    with engine_at(f"sqlite:///{file}") as engine:
        ping(engine)
        modes = {stat.S_IMODE(path.stat().st_mode) for path in file.parent.iterdir()}
    assert modes == {0o600}


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_psycopg_3_speaks_to_postgres_under_every_usual_name(scheme: str, postgres_url: str) -> None:
    with engine_at(postgres_url.replace("postgresql", scheme, 1)) as engine:
        ping(engine)
        assert engine.driver == "psycopg"


def test_two_writers_take_turns_and_neither_is_turned_away(empty_engine: Engine) -> None:
    """Each reads, then writes what it read plus one: with a plain BEGIN SQLite would refuse one of them."""
    with write_session(empty_engine) as session:
        session.execute(text("CREATE TABLE counter (value INTEGER)"))
        session.execute(text("INSERT INTO counter VALUES (0)"))
    lock = " FOR UPDATE" if empty_engine.dialect.name == "postgresql" else ""
    errors: list[Exception] = []

    def add(times: int) -> None:
        try:
            for _ in range(times):
                with write_session(empty_engine) as session:
                    value = session.execute(text(f"SELECT value FROM counter{lock}")).scalar_one()
                    session.execute(text("UPDATE counter SET value = :value"), {"value": value + 1})
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=add, args=(25,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with read_session(empty_engine) as session:
        assert session.execute(text("SELECT value FROM counter")).scalar_one() == 100


def test_a_write_transaction_holds_sqlites_lock_from_its_first_moment(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/a.db"
    with (
        engine_at(url) as first,
        engine_at(url, busy_timeout=0.05) as second,
        write_session(first) as session,
    ):
        session.connection()  # BEGIN IMMEDIATE; nothing was written yet
        with pytest.raises(DatabaseUnavailable, match="locked"), write_session(second) as other:
            other.connection()
        ping(second)  # readers go on


def test_a_read_transaction_cannot_write(empty_engine: Engine) -> None:
    with pytest.raises((DBAPIError, DatabaseUnavailable)), read_session(empty_engine) as session:
        session.execute(text("CREATE TABLE t (n INTEGER)"))
    with write_session(empty_engine) as session:  # and the connection is none the worse
        session.execute(text("CREATE TABLE t (n INTEGER)"))


def test_an_exception_undoes_the_transaction_tables_included(empty_engine: Engine) -> None:
    def make_a_table_and_fail() -> None:
        with write_session(empty_engine) as session:
            session.execute(text("CREATE TABLE t (n INTEGER)"))
            raise KeyError

    with pytest.raises(KeyError):
        make_a_table_and_fail()
    with pytest.raises(DatabaseOutdated), read_session(empty_engine) as session:
        session.execute(text("SELECT n FROM t"))


def test_a_database_that_goes_away_and_comes_back_works_again(database_url: str, outage: Outage) -> None:
    with engine_at(database_url, busy_timeout=0.05) as engine:
        with write_session(engine) as session:
            session.execute(text("CREATE TABLE t (n INTEGER)"))
        outage.begin()
        with pytest.raises(DatabaseUnavailable), write_session(engine) as session:
            session.execute(text("INSERT INTO t VALUES (1)"))
        outage.end()
        with write_session(engine) as session:
            session.execute(text("INSERT INTO t VALUES (2)"))
        with read_session(engine) as session:
            assert session.execute(text("SELECT n FROM t")).scalars().all() == [2]


def test_an_unreachable_server_is_named_without_user_or_password() -> None:
    port = free_port()
    engine = make_engine(f"postgresql://bob:hunter2@127.0.0.1:{port}/app?application_name=hunter3")
    with pytest.raises(DatabaseUnavailable) as caught:
        ping(engine)
    message = str(caught.value)
    assert f"postgresql://127.0.0.1:{port}/app" in message
    assert "DATABASE_URL" in message
    assert not any(secret in message for secret in ("bob", "hunter2", "hunter3"))


def test_a_wrong_password_is_not_shown(postgres_url: str) -> None:
    password = postgres_url.split(":")[2].split("@")[0]
    with (
        engine_at(postgres_url.replace(password, "hunter2")) as engine,
        pytest.raises(DatabaseUnavailable) as caught,
    ):
        ping(engine)
    assert "password authentication failed" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_missing_database_is_named(postgres_url: str) -> None:
    with (
        engine_at(postgres_url.replace("/postgres", "/nowhere")) as engine,
        pytest.raises(DatabaseUnavailable, match=r"nowhere.*does not exist"),
    ):
        ping(engine)


def test_a_file_below_a_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("a file")
    with pytest.raises(DatabaseUnavailable, match=r"plain/a\.db cannot be written \(.*\); make its folder"):
        make_engine(f"sqlite:///{tmp_path}/plain/a.db")


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text("this is not a database, however long the text may be" * 100)
    with (
        engine_at(f"sqlite:///{tmp_path}/a.db") as engine,
        pytest.raises(DatabaseUnavailable, match="not a database"),
    ):
        ping(engine)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("nonsense", "cannot be read"),
        ("postgresql://u:p@host:notaport/db", "cannot be read"),
        ("mysql://u:p@host/db", "'mysql' is not supported"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
    ],
)
def test_a_url_that_cannot_serve_is_refused(url: str, words: str) -> None:
    with pytest.raises(InvalidDatabaseUrl, match=words) as caught:
        make_engine(url)
    assert "u:p" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_forked_child_opens_its_own_connections(engine: Engine) -> None:
    """The parent's pooled connection must neither be used nor closed by the child."""
    ping(engine)
    child = os.fork()
    if child == 0:
        try:
            inherited = engine.pool.checkedin()  # type: ignore[attr-defined]
            ping(engine)
            os._exit(2 if inherited else 0)
        except BaseException:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    ping(engine)
