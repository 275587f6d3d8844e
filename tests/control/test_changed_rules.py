"""Rules changed while the platform runs: who changed them, what holds, and that they are kept."""

import uuid
from threading import Event, Thread

import pytest

from control.api.serve import keep_rules_restored
from control.service import EffectiveRules, KeptRules, RuleActions
from control.service.requests import LaneChanges, QueueChanges
from database.adjustments import Adjustments
from database.errors import DatabaseOutdated
from jobs.errors import InvalidAdjustment, StoreUnavailable, UnknownQueue
from jobs.memory import MemoryStore
from jobs.model import FetchRequest, NewJob, Scope
from jobs.rules import Rate
from tests.control.board import small_app
from tests.waiting import eventually

QUEUE = "email-sync"


@pytest.fixture
def verbs(ruled):
    return RuleActions(ruled, "ada")


@pytest.fixture
def effective(ruled):
    return EffectiveRules(ruled)


@pytest.fixture
def kept(ruled):
    return KeptRules(ruled, "ada")


def shown(view):
    return {rule.name: (rule.value, rule.source, rule.by) for rule in view.rules}


def given(store, queue=QUEUE):
    return [job.id for job in store.fetch(FetchRequest("w1", uuid.uuid4().hex, 5, {queue: 5})).jobs]


def test_a_paused_queue_starts_nothing_until_it_is_resumed(verbs, store):
    store.enqueue([NewJob("j1", QUEUE, "email_sync", b"")])

    paused = verbs.pause(QUEUE)
    assert (paused.queues, paused.paused) == ([QUEUE], True)
    assert given(store) == []

    verbs.resume(QUEUE)
    assert given(store) == ["j1"]


def test_a_paused_tenant_leaves_the_others_running(verbs, store):
    store.enqueue([NewJob(f"{lane}-1", QUEUE, "email_sync", b"", lane=lane) for lane in ("acme", "other")])

    verbs.pause(QUEUE, "acme")

    assert given(store) == ["other-1"]
    assert [lane.paused for lane in store.lanes(QUEUE, ["acme", "other"])] == [True, False]


def test_a_document_name_pauses_every_queue_behind_it(verbs, store):
    assert verbs.pause("email").queues == ["email-draft", "email-sync"]
    assert [stats.paused for stats in store.stats(["email-draft", "email-sync"])] == [True, True]


def test_a_tenant_is_paused_in_every_queue_and_resumed_in_all(verbs, store):
    paused = verbs.pause_tenant("acme")

    assert paused.queues == ["count", "dead-letter", "email-draft", "email-sync"]
    assert {scope.lane for scope in store.adjustments()} == {"acme"}

    verbs.resume_tenant("acme")
    assert store.adjustments() == {}


def test_the_limits_say_where_each_comes_from(verbs, effective, ruled):
    verbs.change_queue(QUEUE, QueueChanges(cap=3, rate="7/s"))

    view = effective.of_queue(QUEUE)

    rules = ruled.rules_of(QUEUE)
    assert shown(view) == {
        "paused": (False, "settings", None),
        "priority": (rules.priority, "settings", None),
        "cap": (3, "adjusted", "ada"),
        "rate": ("7/s", "adjusted", "ada"),
        "laneCap": (None, "settings", None),
        "laneRate": (None, "settings", None),
        "gateCap": (None, "settings", None),
        "gateRate": (None, "settings", None),
        "concurrency": (rules.concurrency, "settings", None),
        "workerRate": (None, "settings", None),
    }
    assert all((rule.at is not None) == (rule.source == "adjusted") for rule in view.rules)


def test_nought_lifts_a_limit_and_null_follows_the_settings_again(verbs, effective):
    verbs.change_queue(QUEUE, QueueChanges(rate="none", lane_cap=2))
    verbs.change_queue(QUEUE, QueueChanges(lane_cap=None))

    rules = shown(effective.of_queue(QUEUE))

    assert rules["rate"] == (None, "adjusted", "ada")  # the settings say 10/s
    assert rules["laneCap"] == (None, "settings", None)


def test_the_numbers_of_gates_and_of_each_process_are_changed_kept_and_brought_to_a_new_store(
    verbs, effective, kept, store
):
    verbs.change_queue(QUEUE, QueueChanges(gate_cap=2, gate_rate="3/s", concurrency=4, worker_rate="none"))

    rules = shown(effective.of_queue(QUEUE))
    assert {name: rules[name][0] for name in ("gateCap", "gateRate", "concurrency", "workerRate")} == {
        "gateCap": 2,
        "gateRate": "3/s",
        "concurrency": 4,
        "workerRate": None,
    }

    changes = dict(store.adjustments()[Scope(QUEUE)])
    store.adjust(Scope(QUEUE), dict.fromkeys(changes))  # as a store that lost its data
    assert kept.restore_if_new() == 4
    assert store.adjustments() == {Scope(QUEUE): changes}
    assert store.process_rules([QUEUE]) == {QUEUE: {"concurrency": 4, "worker_rate": 0}}


def test_a_tenant_follows_its_queue_until_it_has_a_limit_of_its_own(verbs, effective):
    verbs.change_queue(QUEUE, QueueChanges(lane_cap=2))
    assert shown(effective.of_lane(QUEUE, "acme"))["cap"] == (2, "adjusted", "ada")

    verbs.change_lane(QUEUE, "acme", LaneChanges(cap=9, weight=2))
    assert shown(effective.of_lane(QUEUE, "acme")) == {
        "paused": (False, "settings", None),
        "weight": (2, "adjusted", "ada"),
        "cap": (9, "adjusted", "ada"),
        "rate": (None, "settings", None),
    }
    assert shown(effective.of_lane(QUEUE, "other"))["cap"] == (2, "adjusted", "ada")


def test_a_tenants_weight_is_that_of_the_settings(store, tmp_path):
    from tests.tables import give_tables

    app = small_app(store, tmp_path, tenants={"acme": {"weight": 3}})
    give_tables(app.engine())

    assert shown(EffectiveRules(app).of_lane(QUEUE, "acme"))["weight"] == (3, "settings", None)
    app.engine().dispose()


def test_a_changed_limit_holds_at_once(verbs, store):
    store.enqueue([NewJob(f"j{number}", QUEUE, "email_sync", b"") for number in range(4)])

    verbs.change_queue(QUEUE, QueueChanges(cap=1))
    assert given(store) == ["j0"]

    verbs.change_queue(QUEUE, QueueChanges(cap=3))
    assert len(store.fetch(FetchRequest("w1", "t2", 5, {QUEUE: 5})).jobs) == 2


def test_a_change_that_the_store_refuses_is_not_kept(tmp_path):
    from tests.tables import give_tables

    class Strict(MemoryStore):
        def adjust(self, scope, changes):
            if changes.get("cap") == 99:
                raise InvalidAdjustment("99 is too much")
            super().adjust(scope, changes)

    app = small_app(Strict(), tmp_path)
    give_tables(app.engine())
    verbs = RuleActions(app, "ada")
    verbs.change_queue(QUEUE, QueueChanges(cap=5))

    with pytest.raises(InvalidAdjustment):
        verbs.change_queue(QUEUE, QueueChanges(cap=99, priority=1))

    assert [(one.name, one.value) for one in Adjustments(app.engine()).read()] == [("cap", 5)]
    app.engine().dispose()


def test_a_change_that_did_not_reach_the_store_is_not_kept_either(tmp_path):
    """The operator is told that it failed: the next start of the API must not do it all the same."""
    from tests.tables import give_tables

    class Lost(MemoryStore):
        def adjust(self, scope, changes):
            if changes.get("cap") == 3:
                raise StoreUnavailable("Redis at 127.0.0.1:1 cannot be reached")
            super().adjust(scope, changes)

    app = small_app(Lost(), tmp_path)
    give_tables(app.engine())
    verbs = RuleActions(app, "ada")
    verbs.change_queue(QUEUE, QueueChanges(cap=5))

    with pytest.raises(StoreUnavailable):
        verbs.change_queue(QUEUE, QueueChanges(cap=3, priority=1))

    assert [(one.name, one.value) for one in Adjustments(app.engine()).read()] == [("cap", 5)]
    app.engine().dispose()


def test_nothing_is_kept_while_the_store_is_away(tmp_path):
    from tests.tables import give_tables

    class Away(MemoryStore):
        def ping(self):
            raise StoreUnavailable("Redis at 127.0.0.1:1 cannot be reached")

    app = small_app(Away(), tmp_path)
    give_tables(app.engine())

    with pytest.raises(StoreUnavailable):
        RuleActions(app, "ada").pause(QUEUE)

    assert Adjustments(app.engine()).read() == []
    app.engine().dispose()


def test_an_unknown_queue_is_refused_with_the_nearest(verbs):
    with pytest.raises(UnknownQueue, match="did you mean email-sync"):
        verbs.pause("email-sinc")


def test_a_new_store_is_given_all_that_was_changed(verbs, ruled):
    verbs.change_queue(QUEUE, QueueChanges(cap=3, rate="2/min"))
    verbs.pause(QUEUE, "acme")
    ruled.broker.store = MemoryStore()

    kept = KeptRules(ruled, "up")
    assert kept.restore_if_new() == 3
    assert kept.restore_if_new() == 0

    assert ruled.store.adjustments() == {
        Scope(QUEUE): {"cap": 3, "rate": Rate(2, 60_000)},
        Scope(QUEUE, "acme"): {"paused": True},
    }


def test_a_store_that_lost_its_data_while_the_api_runs_is_given_all_again(verbs, ruled):
    verbs.change_queue(QUEUE, QueueChanges(cap=3))
    ruled.broker.store = MemoryStore()
    ended = Event()
    watching = Thread(target=keep_rules_restored, args=(ruled, ended), kwargs={"every_s": 0.01})
    watching.start()
    try:
        assert eventually(lambda: ruled.store.adjustments() == {Scope(QUEUE): {"cap": 3}})
    finally:
        ended.set()
        watching.join()


def test_the_first_change_to_a_store_that_lost_its_data_does_not_hide_the_others(verbs, ruled):
    verbs.change_queue(QUEUE, QueueChanges(cap=3))
    ruled.broker.store = MemoryStore()
    verbs.pause(QUEUE, "acme")
    assert ruled.store.adjustments() == {Scope(QUEUE): {"cap": 3}, Scope(QUEUE, "acme"): {"paused": True}}


def test_a_store_that_has_changes_of_its_own_is_left_alone_and_the_difference_told(verbs, kept, store):
    verbs.change_queue(QUEUE, QueueChanges(cap=3))
    store.adjust(Scope(QUEUE), {"cap": 4})
    store.adjust(Scope(QUEUE, ""), {"rate": Rate(1, 1_000)})

    assert kept.restore_if_new() == 0
    assert [str(one) for one in kept.differences()] == [
        "email-sync: cap is 4, kept is 3",
        "email-sync, jobs without a tenant: rate is 1/s, kept is as in the settings",
    ]


def test_a_restore_makes_both_agree(verbs, kept, store):
    verbs.change_queue(QUEUE, QueueChanges(cap=3))
    store.adjust(Scope(QUEUE), {"cap": None, "priority": 1})

    assert kept.restore() == 2

    assert kept.differences() == []
    assert store.adjustments() == {Scope(QUEUE): {"cap": 3}}


def test_what_the_store_has_by_other_means_is_shown_without_a_name(verbs, effective, store):
    verbs.change_queue(QUEUE, QueueChanges(cap=3))
    store.adjust(Scope(QUEUE), {"cap": 4})

    assert shown(effective.of_queue(QUEUE))["cap"] == (4, "adjusted", None)


def test_each_change_leaves_a_line_with_who_made_it(verbs, caplog):
    caplog.set_level("INFO", logger="callboard.operators")

    verbs.pause(QUEUE, "acme")
    verbs.change_queue(QUEUE, QueueChanges(cap=None, rate="5/s"))

    assert caplog.messages == [
        '"ada" pause queue="email-sync" tenant="acme"',
        '"ada" queue.limits queue="email-sync" cap="as in the settings" rate="5/s"',
    ]


def test_a_database_that_is_not_migrated_is_said(app):
    with pytest.raises(DatabaseOutdated, match="migrate it"):
        RuleActions(app, "ada").pause(QUEUE)
    app.engine().dispose()
