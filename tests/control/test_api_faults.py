"""What goes wrong on our side: a store that is away or full, an error that nobody thought of."""

import pytest

from jobs.errors import StoreFull, StoreUnavailable
from jobs.memory import MemoryStore
from tests.control.asking import SYNC, error_of, post


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
