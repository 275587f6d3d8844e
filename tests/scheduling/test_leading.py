"""Standbys and leaders, without processes: who fires, and who stops firing."""

from actors.composition import App
from jobs.schedules import CatchUp
from scheduling.book import Book
from tests.scheduling.stage import START, Clock, LockedFile, Scheduler, Store, schedule


def test_of_two_one_fires(app: App, book: Book, clock: Clock, store: Store) -> None:
    book.add(schedule(), "ada")
    one, two = Scheduler(app, clock, "one"), Scheduler(app, clock, "two")
    one.turn()
    two.turn()
    clock.pass_(minutes=1)
    two.look()
    assert (one.leader.token, two.leader.token) == (1, 2)  # the lease of the first is long over
    two.step()
    one.turn()
    assert len(store.sent) == 1


def test_when_the_leader_is_gone_the_next_one_begins_within_its_lease(
    app: App, book: Book, clock: Clock, store: Store
) -> None:
    book.add(schedule(timing=1, catch_up=CatchUp.SKIP), "ada")
    Scheduler(app, clock, "gone").turn()
    standby = Scheduler(app, clock, "standby")
    for _ in range(8):
        clock.pass_(seconds=1)
        standby.turn()
    # Also of the seconds in which nobody fired, under any policy.
    assert len(store.created) == 9
    assert store.created[0].endswith("12:00:01Z")


def test_a_lease_that_cannot_be_renewed_is_not_relied_upon(
    scheduler: Scheduler, clock: Clock, locked: LockedFile
) -> None:
    from database.errors import DatabaseUnavailable

    locked.begin()
    for second in range(1, 8):
        clock.pass_(seconds=1)
        try:
            scheduler.look()
        except DatabaseUnavailable:
            assert second >= 2
        assert scheduler.leader.sure() is (second < 5)
    locked.end()
    scheduler.look()
    assert scheduler.leader.sure()
    assert scheduler.leader.token == 1
    assert clock() > START
