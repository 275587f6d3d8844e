"""Requests that are wrong: each is answered with what is wrong, in one shape."""

import pytest

from tests.control.asking import SYNC, error_of, post


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
    assert error_of(response).message.endswith("; an actor added since the API started needs a restart of it")


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
