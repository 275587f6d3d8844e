"""Queues, tenants and workers over HTTP: counts, health, and what operators do to them."""

import pytest

from jobs.model import FetchRequest, NewJob, Scope, WorkerInfo
from jobs.rules import Rate
from tests.control.asking import SYNC, error_of, post
from tests.control.board import work

QUEUE = "email-sync"
HERE = f"/api/v1/queues/{QUEUE}"


def put(store, times, **options):
    ids = [f"j{number}" for number in range(times)]
    store.enqueue([NewJob(job_id, QUEUE, "email_sync", b"", **options) for job_id in ids])


def join(store):
    info = WorkerInfo(
        "w1", "host-1", 7, "0.1", 8, (QUEUE,), 1_000, name="mail", actors=("email_sync",), memory_bytes=5_000
    )
    store.register(info, lease_ms=60_000)


def test_metrics_and_health_of_queues(api, store):
    post(api, queue="email-sync", data=SYNC)
    work(store, "email-sync")

    metrics = api.get(f"{HERE}/metrics").json()
    health = api.get("/api/v1/queues/health").json()

    assert metrics["completed"] == 1
    assert metrics["completedPerMinute"] > 0
    assert metrics["workerCount"] == 0
    assert health["store"]["connected"] is True
    assert health["status"] == "degraded"  # nobody works


def test_all_queues_are_listed_with_their_counts(api, store):
    put(store, 2)

    listed = {queue["queue"]: queue["waiting"] for queue in api.get("/api/v1/queues").json()}

    assert (listed[QUEUE], listed["count"]) == (2, 0)


def test_a_paused_queue_is_seen_as_paused_everywhere(api, store):
    assert api.post(f"{HERE}/pause").json() == {"queues": [QUEUE], "tenantId": None, "paused": True}

    (health,) = [one for one in api.get("/api/v1/queues/health").json()["queues"] if one["name"] == QUEUE]
    assert health["paused"]
    assert "it is paused" in health["reasons"]
    assert api.get(f"{HERE}/metrics").json()["paused"]

    api.post(f"{HERE}/resume")
    assert not api.get(f"{HERE}/metrics").json()["paused"]


def test_one_tenant_of_a_queue_is_paused(api, store):
    put(store, 1, lane="acme/eu")

    api.post(f"{HERE}/pause", json={"tenantId": "acme/eu"})

    (lane,) = api.get(f"{HERE}/lanes").json()
    assert (lane["tenantId"], lane["waiting"], lane["paused"]) == ("acme/eu", 1, True)


def test_a_paused_tenant_without_any_job_is_still_seen(api):
    api.post(f"{HERE}/pause", json={"tenantId": "acme"})

    (lane,) = api.get(f"{HERE}/lanes").json()

    assert (lane["tenantId"], lane["waiting"], lane["paused"]) == ("acme", 0, True)


def test_lanes_are_asked_for_by_name(api, store):
    put(store, 1, lane="acme")

    lanes = api.get(f"{HERE}/lanes", params={"tenantId": ["acme", ""]}).json()

    assert [(lane["tenantId"], lane["waiting"]) for lane in lanes] == [("acme", 1), (None, 0)]


def test_a_drain_takes_a_limit_and_says_whether_there_is_more(api, store):
    put(store, 5)

    first = api.post(f"{HERE}/drain", json={"limit": 3}).json()
    second = api.post(f"{HERE}/drain").json()

    assert first == {"queue": QUEUE, "removed": 3, "more": True}
    assert second == {"queue": QUEUE, "removed": 2, "more": False}


def test_old_jobs_of_a_state_are_cleaned(api, store):
    put(store, 3)
    for _ in range(3):
        work(store, QUEUE)

    answer = api.post(f"{HERE}/clean", json={"state": "completed", "keep": 1}).json()

    assert answer["removed"] == 2


def test_a_queue_is_obliterated_only_with_its_name(api, store):
    put(store, 2)

    refused = api.post(f"{HERE}/obliterate", json={"confirm": "email"})
    assert (refused.status_code, error_of(refused).code) == (422, "not_confirmed")
    assert error_of(refused).field == "confirm"

    assert api.post(f"{HERE}/obliterate", json={"confirm": QUEUE}).json()["removed"] == 2


def test_limits_are_changed_and_shown_with_their_source(api, store):
    changed = api.patch(f"{HERE}/limits", json={"cap": 3, "laneRate": "5/s", "rate": "none"})

    rules = {rule["name"]: rule for rule in changed.json()["rules"]}
    assert (rules["cap"]["value"], rules["cap"]["source"], rules["cap"]["by"]) == (3, "adjusted", "api")
    assert rules["rate"]["value"] is None
    assert rules["laneCap"]["source"] == "settings"
    assert store.adjustments() == {Scope(QUEUE): {"cap": 3, "lane_rate": Rate(5, 1_000), "rate": 0}}
    assert api.get(f"{HERE}/limits").json() == changed.json()

    own = api.patch(f"{HERE}/limits", json={"gateCap": 1, "concurrency": 2, "workerRate": "3/s"}).json()
    values = {rule["name"]: rule["value"] for rule in own["rules"]}
    assert (values["gateCap"], values["concurrency"], values["workerRate"]) == (1, 2, "3/s")
    assert store.process_rules([QUEUE]) == {QUEUE: {"concurrency": 2, "worker_rate": Rate(3, 1_000)}}
    api.patch(f"{HERE}/limits", json={"gateCap": None, "concurrency": None, "workerRate": None})

    api.patch(f"{HERE}/limits", json={"cap": None, "laneRate": None, "rate": None})
    assert store.adjustments() == {}


def test_a_tenants_limits_are_changed_in_a_queue_and_in_all(api, store):
    one = api.patch(f"{HERE}/lanes/limits", json={"tenantId": "acme", "weight": 2})
    assert one.json()["tenantId"] == "acme"
    assert store.adjustments() == {Scope(QUEUE, "acme"): {"weight": 2}}

    every = api.patch("/api/v1/tenants/limits", json={"tenantId": "acme", "cap": 4}).json()
    assert {view["queue"] for view in every} >= {QUEUE, "email-draft", "count"}
    assert store.adjustments()[Scope("count", "acme")] == {"cap": 4}

    shown = api.get(f"{HERE}/limits", params={"tenantId": "acme"}).json()
    assert {rule["name"]: rule["value"] for rule in shown["rules"]} == {
        "paused": False,
        "weight": 2,
        "cap": 4,
        "rate": None,
    }


def test_a_tenant_is_paused_and_resumed_everywhere(api, store):
    api.post("/api/v1/tenants/pause", json={"tenantId": "acme"})
    assert len(store.adjustments()) >= 4

    api.post("/api/v1/tenants/resume", json={"tenantId": "acme"})
    assert store.adjustments() == {}


def test_workers_are_listed_and_one_shows_its_jobs(api, store):
    join(store)
    put(store, 2)
    store.fetch(FetchRequest("w1", "t1", 2, {QUEUE: 2}))

    (worker,) = api.get("/api/v1/workers").json()
    detail = api.get("/api/v1/workers/w1").json()

    assert (worker["owner"], worker["host"], worker["pid"], worker["threads"]) == ("w1", "host-1", 7, 8)
    assert worker["memoryBytes"] == 5_000
    assert worker["seenAt"] is not None
    assert detail["jobs"] == ["j0", "j1"]
    assert detail["actors"] == ["email_sync"]
    assert api.get("/api/v1/workers/mail").json()["owner"] == "w1"


def test_a_worker_that_is_not_alive_is_404_with_those_that_are(api, store):
    join(store)

    response = api.get("/api/v1/workers/w2")

    assert (response.status_code, error_of(response).code) == (404, "unknown_worker")
    assert error_of(response).message == "no living worker is named 'w2'; alive: w1"


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("PATCH", "/limits", {"cap": -1}, "cap"),
        ("PATCH", "/limits", {"cap": "3"}, "cap"),
        ("PATCH", "/limits", {"concurrency": 0}, "concurrency"),
        ("PATCH", "/limits", {"rate": "fast"}, "rate"),
        ("PATCH", "/limits", {"priority": 11}, "priority"),
        ("PATCH", "/limits", {"lanecap": 1}, "lanecap"),
        ("PATCH", "/limits", {}, "body"),
        ("PATCH", "/lanes/limits", {"tenantId": "acme", "weight": 0}, "weight"),
        ("PATCH", "/lanes/limits", {"weight": 1}, "tenantId"),
        ("POST", "/pause", {"tenantId": "a\u0000b"}, "tenantId"),
        ("POST", "/drain", {"limit": 10_001}, "limit"),
        ("POST", "/drain", {"limit": 0}, "limit"),
        ("POST", "/clean", {"state": "active"}, "state"),
        ("POST", "/clean", {"state": "failed", "keep": -1}, "keep"),
        ("POST", "/obliterate", {}, "confirm"),
    ],
)
def test_a_wrong_field_is_named(api, method, path, body, field):
    response = api.request(method, f"{HERE}{path}", json=body)

    assert (response.status_code, error_of(response).field) == (422, field)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "pause", None),
        ("POST", "resume", None),
        ("POST", "drain", None),
        ("POST", "clean", {"state": "failed"}),
        ("POST", "obliterate", {"confirm": "email-sinc"}),
        ("GET", "limits", None),
        ("PATCH", "limits", {"cap": 1}),
        ("PATCH", "lanes/limits", {"tenantId": "acme", "cap": 1}),
        ("GET", "lanes", None),
    ],
)
def test_an_unknown_queue_is_404_with_the_nearest(api, method, path, body):
    response = api.request(method, f"/api/v1/queues/email-sinc/{path}", json=body)

    assert (response.status_code, error_of(response).code) == (404, "unknown_queue")
    assert "did you mean email-sync" in error_of(response).message
