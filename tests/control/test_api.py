"""The HTTP API over a real uvicorn on loopback: shapes, codes, key, and every error."""

import json

import pytest
from jsonschema import Draft202012Validator

from control.api.errors import ErrorBody
from control.api.keys import KeyFile
from jobs.errors import StoreFull, StoreUnavailable
from jobs.memory import MemoryStore
from jobs.model import FetchRequest
from tests.control.board import small_app, work
from tests.control.serving import serving

SYNC = {"userId": "u1", "accountId": "a1"}


def post(api, **body):
    return api.post("/api/v1/jobs", json=body)


def error_of(response):
    """The error inside an answer, after a check that it has the one shape of all errors."""
    assert list(response.json()) == ["error"]
    return ErrorBody.model_validate(response.json()).error


def test_a_job_is_added_in_the_shape_of_the_documents(api):
    response = post(
        api,
        queue="email-sync",
        data=SYNC,
        options={
            "priority": 2,
            "delay": 0,
            "attempts": 3,
            "backoff": {"type": "exponential", "delay": 1000},
        },
    )

    job = response.json()
    assert response.status_code == 201
    assert response.headers["location"] == f"/api/v1/jobs/{job['id']}"
    assert (job["queue"], job["name"], job["state"]) == ("email-sync", "email_sync", "waiting")
    assert job["data"] == {"user_id": "u1", "account_id": "a1"}
    assert job["opts"]["priority"] == 2
    assert job["attemptsMade"] == 0


def test_the_job_is_found_where_location_says(api):
    location = post(api, queue="email-sync", data=SYNC).headers["location"]

    response = api.get(location)

    assert response.status_code == 200
    assert set(response.json()) >= {
        *("id", "queue", "name", "data", "opts", "progress", "attemptsMade", "processedOn", "finishedOn"),
        *("failedReason", "stacktrace", "returnvalue"),
    }


def test_progress_has_its_own_address(api, store):
    job = post(api, queue="email-sync", data=SYNC).json()
    store.fetch(FetchRequest("w1", "t1", 1, {"email-sync": (1, None)}))
    store.report_progress({job["id"]: b'{"percent": 40, "message": "fetching"}'})

    response = api.get(f"/api/v1/jobs/{job['id']}/progress")

    assert response.json()["percent"] == 40
    assert response.json()["message"] == "fetching"
    assert api.get(f"/api/v1/jobs/{job['id']}").json()["progress"] == 40


def test_the_same_id_again_answers_200_and_the_same_job(api):
    first = post(api, queue="email-sync", data=SYNC, options={"jobId": "order-1"})
    again = post(api, queue="email-sync", data=SYNC, options={"jobId": "order-1"})

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"] == "order-1"


def test_an_id_with_every_mark_is_found_where_location_says(api):
    job_id = "Order-1.2_3:4@example"
    location = post(api, queue="email-sync", data=SYNC, options={"jobId": job_id}).headers["location"]

    assert api.get(location).json()["id"] == job_id
    assert api.get(f"{location}/progress").json()["id"] == job_id


def test_the_id_of_another_tenants_job_is_409_and_shows_nothing_of_it(api):
    hers = {"jobId": "order-1", "tenantId": "acme"}
    post(api, queue="email-sync", data={**SYNC, "userId": "hers"}, options=hers)

    response = post(api, queue="email-sync", data=SYNC, options={"jobId": "order-1", "tenantId": "other"})

    assert response.status_code == 409
    assert error_of(response).code == "taken"
    assert "hers" not in response.text


def test_that_failed_jobs_stay_may_be_said(api):
    response = post(api, queue="email-sync", data=SYNC, options={"removeOnFail": False})

    assert response.status_code == 201
    assert response.json()["opts"]["removeOnFail"] is False


def test_metrics_and_health_of_queues(api, store):
    post(api, queue="email-sync", data=SYNC)
    work(store, "email-sync")

    metrics = api.get("/api/v1/queues/email-sync/metrics").json()
    health = api.get("/api/v1/queues/health").json()

    assert metrics["completed"] == 1
    assert metrics["workerCount"] == 0
    assert health["store"]["connected"] is True
    assert health["status"] == "degraded"  # nobody works


def test_healthz_needs_no_key_and_tells_nothing(api, bare):
    response = bare.get(f"{api.base_url}/healthz")

    assert (response.status_code, response.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    "header",
    [None, "Bearer wrong", "Bearer", "Basic dTpw", "Bearer x y", "Bearer schlüssel".encode()],
)
@pytest.mark.parametrize("path", ["/api/v1/jobs/x", "/api/v1/queues/health", "/api/nothing"])
def test_without_the_right_key_everything_is_refused(api, bare, path, header):
    headers = {} if header is None else {"Authorization": header}

    response = bare.get(f"{api.base_url}{path}", headers=headers)

    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert error_of(response).code == "unauthorized"


def test_a_body_is_not_looked_at_before_the_key(api, bare):
    response = bare.post(f"{api.base_url}/api/v1/jobs", content=b"{not json")

    assert response.status_code == 401


def test_after_a_rotation_only_the_new_key_opens(bare, app):
    keys = KeyFile(app.settings.home)
    old = keys.ensure()

    with serving(app) as url:
        new = keys.rotate()

        def status(key):
            headers = {"Authorization": f"Bearer {key}"}
            return bare.get(f"{url}/api/v1/queues/health", headers=headers).status_code

        assert (status(old), status(new)) == (401, 200)


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        ({"data": SYNC}, "queue", "give the name of a queue"),
        ({"queue": "email-sync", "data": {"userId": "u1"}}, "account_id", "required"),
        ({"queue": "email-sync", "data": {**SYNC, "full": "perhaps"}}, "full", "boolean"),
        ({"queue": "email-sync", "data": {**SYNC, "colour": "red"}}, "colour", "not permitted"),
        ({"queue": "email-sync", "data": [1]}, "data", "dictionary"),
        ({"queue": 5}, "queue", "string"),
        ({"queue": "email-sync", "date": SYNC}, "date", "did you mean data?"),
        ({"queue": "email-sync", "options": {"priorty": 1}}, "options.priorty", "did you mean priority?"),
        (
            {"queue": "email-sync", "options": {"priority": 11}},
            "options.priority",
            "less than or equal to 10",
        ),
        ({"queue": "email-sync", "options": {"priority": "1"}}, "options.priority", "integer"),
        ({"queue": "email-sync", "options": {"delay": -1}}, "options.delay", "greater than or equal to 0"),
        ({"queue": "email-sync", "options": {"attempts": 0}}, "options.attempts", "greater"),
        ({"queue": "email-sync", "options": {"jobId": "a/b"}}, "options.jobId", "match"),
        ({"queue": "email-sync", "options": {"jobId": "a" * 129}}, "options.jobId", "match"),
        ({"queue": "email-sync", "options": {"tenantId": ""}}, "options.tenantId", "at least 1"),
        ({"queue": "email-sync", "options": {"tenantId": "t" * 101}}, "options.tenantId", "at most 100"),
        ({"queue": "email-sync", "options": {"tenantId": "a\x7fb"}}, "options.tenantId", "printable"),
        ({"queue": "email-sync", "options": {"removeOnFail": True}}, "options.removeOnFail", "not there yet"),
        ({"queue": "email-sync", "options": {"removeOnFail": 0}}, "options.removeOnFail", "not there yet"),
        (
            {"queue": "email-sync", "options": {"backoff": {"type": "random", "delay": 1}}},
            "options.backoff.type",
            "exponential",
        ),
    ],
)
def test_a_wrong_field_is_named(api, body, field, says):
    response = api.post("/api/v1/jobs", json=body)

    error = error_of(response)
    assert response.status_code == 422
    assert error.field == field
    assert says in error.message


def test_a_refusal_never_repeats_the_value(api):
    response = post(api, queue="email-sync", data={"userId": {"password": "hunter2"}, "accountId": "a"})

    assert response.status_code == 422
    assert "hunter2" not in response.text


@pytest.mark.parametrize(
    ("content", "kind", "status", "code"),
    [
        (b"{not json", "application/json", 400, "invalid_json"),
        (b"\xff\xfe", "application/json", 400, "invalid_json"),
        (b"[1]", "application/json", 422, "invalid_request"),
        (b"", "application/json", 422, "invalid_request"),
        (b'{"queue": "email-sync"}', "text/plain", 415, "unsupported_media_type"),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(api, content, kind, status, code):
    response = api.post("/api/v1/jobs", content=content, headers={"Content-Type": kind})

    assert response.status_code == status
    assert error_of(response).code == code


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/v1/jobs/nothing-here", 404, "unknown_job"),
        ("GET", "/api/v1/jobs/nothing-here/progress", 404, "unknown_job"),
        ("GET", "/api/v1/queues/email-sinc/metrics", 404, "unknown_queue"),
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/api/v2/jobs", 404, "not_found"),
        ("DELETE", "/api/v1/jobs", 405, "method_not_allowed"),
    ],
)
def test_what_is_not_there_is_said_in_the_same_shape(api, method, path, status, code):
    response = api.request(method, path)

    assert response.status_code == status
    assert error_of(response).code == code


def test_an_unknown_queue_names_the_nearest(api):
    response = post(api, queue="email-sinc", data=SYNC)

    assert response.status_code == 404
    assert "did you mean email-sync" in error_of(response).message


def test_an_actor_that_is_not_installed_is_404(api):
    response = post(api, queue="voice-processing")

    assert (response.status_code, error_of(response).code) == (404, "unknown_actor")


def test_data_over_the_limit_is_413(api):
    response = post(api, queue="email-sync", data={**SYNC, "userId": "x" * 110_000})

    assert (response.status_code, error_of(response).code) == (413, "payload_too_large")


def test_a_declared_body_over_the_limit_is_413(api):
    response = api.post("/api/v1/jobs", content=b" " * 400_000, headers={"Content-Type": "application/json"})

    assert (response.status_code, error_of(response).code) == (413, "payload_too_large")


def test_a_streamed_body_over_the_limit_is_413(api):
    def stream():
        for _ in range(400):
            yield b" " * 1_000

    response = api.post("/api/v1/jobs", content=stream(), headers={"Content-Type": "application/json"})

    assert (response.status_code, error_of(response).code) == (413, "payload_too_large")


class BrokenStore(MemoryStore):
    """Fails with the error it is given."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def enqueue(self, jobs):
        raise self.error

    def get(self, job_id):
        raise self.error

    def ping(self):
        raise self.error


@pytest.fixture
def broken(api, served):
    """Stands the API on a store that fails with an error."""

    def stand_on(error):
        served[0].broker.store = BrokenStore(error)

    return stand_on


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (StoreUnavailable("Redis at 127.0.0.1:1 cannot be reached; start it"), "store_unavailable"),
        (StoreFull("Redis is at maxmemory; let the workers drain it"), "store_full"),
    ],
)
def test_a_store_that_is_away_or_full_is_503_with_a_time_to_come_back(api, broken, error, code):
    broken(error)

    response = post(api, queue="email-sync", data=SYNC)

    assert response.status_code == 503
    assert int(response.headers["retry-after"]) > 0
    assert error_of(response).code == code
    assert error_of(response).message == str(error)


def test_health_is_503_while_the_store_is_away(api, broken):
    broken(StoreUnavailable("Redis at 127.0.0.1:1 cannot be reached; start it"))

    response = api.get("/api/v1/queues/health")

    assert (response.status_code, error_of(response).code) == (503, "store_unavailable")


def test_an_unexpected_error_shows_no_internals_and_is_found_in_the_log(api, broken, caplog):
    broken(RuntimeError("secret detail of the inside"))

    response = api.get("/api/v1/jobs/j1")

    error = error_of(response)
    assert (response.status_code, error.code) == (500, "internal_error")
    assert "secret detail" not in response.text
    assert response.headers["x-request-id"] == error.request_id
    assert any(error.request_id in record.getMessage() and record.exc_info for record in caplog.records)


def test_the_access_line_leaves_the_query_out(api, caplog):
    caplog.set_level("INFO", logger="callboard.api")

    api.get("/healthz?token=secret")

    lines = [record.getMessage() for record in caplog.records if "/healthz" in record.getMessage()]
    assert lines
    assert not any("secret" in line for line in lines)


def test_every_answer_carries_the_security_headers(api):
    for path in ("/healthz", "/docs", "/api/v1/jobs/x", "/nowhere"):
        headers = api.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers


def test_the_documentation_needs_no_network_and_no_script(api):
    page = api.get("/docs").text

    assert "<script" not in page
    assert "https://" not in page
    assert "/api/v1/jobs" in page
    assert "email_sync.arguments" in page


def test_the_documentation_can_be_switched_off(tmp_path, bare):
    app = small_app(MemoryStore(), tmp_path, api={"docs": False})
    KeyFile(tmp_path).ensure()

    with serving(app) as url:
        assert bare.get(f"{url}/docs").status_code == 404
        assert bare.get(f"{url}/openapi.json").status_code == 404


class TestOpenApi:
    @pytest.fixture
    def document(self, api):
        return api.get("/openapi.json").json()

    def test_it_is_a_valid_document_whose_references_all_lead_somewhere(self, document):
        assert document["openapi"].startswith("3.1")
        schemas = document["components"]["schemas"]
        for schema in schemas.values():
            Draft202012Validator.check_schema(schema)
        text = json.dumps(document)
        for reference in text.split('"$ref": "')[1:]:
            assert reference.partition('"')[0].removeprefix("#/components/schemas/") in schemas

    def test_every_call_under_api_asks_for_the_bearer_key(self, document):
        assert document["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
        for path, methods in document["paths"].items():
            for operation in methods.values():
                assert bool(operation.get("security")) == path.startswith("/api/")

    def test_it_holds_the_arguments_of_every_actor(self, document, served):
        schemas = document["components"]["schemas"]
        assert set(schemas["email_sync.arguments"]["properties"]) == {"user_id", "account_id", "full"}
        for actor in served[0].broker.actors:
            assert f"{actor}.arguments" in schemas

    def test_every_example_is_accepted(self, document, api):
        content = document["paths"]["/api/v1/jobs"]["post"]["requestBody"]["content"]["application/json"]
        for example in content["examples"].values():
            assert api.post("/api/v1/jobs", json=example["value"]).status_code == 201

    def test_answers_fit_the_schemas_that_are_documented(self, document, api):
        schemas = document["components"]["schemas"]
        location = post(api, queue="email-sync", data=SYNC).headers["location"]
        answers = {
            location: "JobView",
            f"{location}/progress": "ProgressView",
            "/api/v1/queues/email-sync/metrics": "QueueMetrics",
            "/api/v1/queues/health": "QueuesHealth",
            "/nowhere": "ErrorBody",
        }
        for path, name in answers.items():
            root = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": schemas}}
            Draft202012Validator(root).validate(api.get(path).json())

    def test_the_documented_errors_are_the_real_ones(self, document):
        """Each status here is provoked by a test above."""
        statuses = {
            (path, status)
            for path, methods in document["paths"].items()
            for operation in methods.values()
            for status in operation["responses"]
        }
        jobs, metrics = "/api/v1/jobs", "/api/v1/queues/{queueName}/metrics"
        assert {status for path, status in statuses if path == jobs} == {
            *("200", "201", "400", "401", "404", "409", "413", "415", "422", "500", "503")
        }
        assert {status for path, status in statuses if path == metrics} == {"200", "401", "404", "500", "503"}
