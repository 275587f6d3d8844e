"""Requests to the API, and its errors."""

from control.api.errors import ErrorBody

SYNC = {"userId": "u1", "accountId": "a1"}


def post(api, **body):
    return api.post("/api/v1/jobs", json=body)


def error_of(response):
    """The error inside an answer, after a check that it has the one shape of all errors."""
    assert list(response.json()) == ["error"]
    return ErrorBody.model_validate(response.json()).error
