"""Who fires schedules: one owner at a time, each with a token of its own."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from database.engine import write_session
from database.scheduler_lease import LeaseTaken, SchedulerLease, fence
from tests.waiting import eventually


@pytest.fixture
def lease(engine: Engine) -> SchedulerLease:
    return SchedulerLease(engine)


def test_nobody_has_it_at_first(lease: SchedulerLease) -> None:
    standing = lease.standing()
    assert (standing.owner, standing.token, standing.held) == ("", 0, False)


def test_one_gets_it_and_the_other_does_not(lease: SchedulerLease) -> None:
    assert lease.take("a") == 1
    assert lease.take("b") is None
    standing = lease.standing()
    assert (standing.owner, standing.token, standing.held) == ("a", 1, True)


def test_a_lease_that_ran_out_goes_to_the_next_with_a_greater_token(engine: Engine) -> None:
    short = SchedulerLease(engine, lease_s=0.1)
    assert short.take("a") == 1
    assert eventually(lambda: short.take("b")) == 2
    assert not short.renew(1)
    assert short.renew(2)


def test_a_renewed_lease_does_not_run_out(engine: Engine) -> None:
    lease = SchedulerLease(engine, lease_s=60)
    SchedulerLease(engine, lease_s=0.2).take("a")
    ends = lease.standing().until
    assert ends is not None
    assert lease.renew(1)
    eventually(lambda: lease.standing().now > ends)
    assert lease.take("b") is None


def test_a_lease_that_is_given_up_is_free_at_once(lease: SchedulerLease) -> None:
    lease.take("a")
    lease.release(1)
    assert not lease.renew(1)
    assert lease.take("b") == 2
    lease.release(1)  # of somebody who was late
    assert lease.standing().held


def test_an_owner_that_asks_again_has_a_new_token(lease: SchedulerLease) -> None:
    assert [lease.take("a"), lease.take("a")] == [1, 2]


def test_who_has_not_the_newest_token_stores_nothing(engine: Engine, lease: SchedulerLease) -> None:
    lease.take("a")
    with write_session(engine) as session:
        fence(session, 1)
    lease.release(1)
    lease.take("b")
    with pytest.raises(LeaseTaken), write_session(engine) as session:
        fence(session, 1)


def test_a_lease_of_a_clock_that_was_put_back_is_free(engine: Engine) -> None:
    """On SQLite the host's clock counts, and an end that lies hours ahead was written by a wrong one."""
    if engine.dialect.name == "postgresql":
        return  # its own clock counts
    now = datetime.now(UTC)
    SchedulerLease(engine, clock=lambda: now + timedelta(hours=3)).take("a")
    assert SchedulerLease(engine, clock=lambda: now).take("b") == 2


def test_processes_are_seen_and_forgotten(engine: Engine, lease: SchedulerLease) -> None:
    began = datetime.now(UTC)
    lease.take("a")
    lease.seen("a", "host-1", 17, began, 250)
    lease.seen("b", "host-2", 18, began, 0)
    lease.seen("b", "host-2", 18, began, 0)
    one, two = lease.processes()
    assert (one.owner, one.host, one.pid, one.leads, one.schedules) == ("a", "host-1", 17, True, 250)
    assert (two.owner, two.leads, two.started_at) == ("b", False, began)
    assert 0 <= one.age_s < 60
    lease.left("b")
    assert [process.owner for process in lease.processes()] == ["a"]
