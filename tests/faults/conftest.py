"""A fleet of real worker processes for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from broker.connection import RedisAddress
from database.engine import make_engine
from database.migrations import migrate
from tests.broker.census import check_census
from tests.broker.leaks import leaked_keys
from tests.faults.fleet import Fleet


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """The audit's database, where the workers look for it."""
    engine = make_engine(f"sqlite:///{tmp_path / 'callboard.db'}")
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def fleet(redis_address: RedisAddress, namespace: str, tmp_path: Path, engine: Engine) -> Iterator[Fleet]:
    fleet = Fleet(redis_address, namespace, tmp_path)
    fleet.store.read_events("test", "test")  # from the first event on
    yield fleet
    fleet.close()
    # Whatever was done to the workers, every job is in exactly one place.
    check_census(redis_address, fleet.store.keys)
    assert leaked_keys(redis_address, namespace) == []
