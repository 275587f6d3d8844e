"""Jobs over HTTP: adding them and seeing what became of them."""

from jobs.model import FetchRequest
from tests.control.asking import SYNC, error_of, post


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
    (held,) = store.fetch(FetchRequest("w1", "t1", 1, {"email-sync": 1})).jobs
    store.report_progress("w1", {job["id"]: (held.token, b'{"percent": 40, "message": "fetching"}')})

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


def test_the_id_of_another_actors_job_is_409_and_shows_nothing_of_it(api):
    post(api, queue="email-sync", data={**SYNC, "userId": "hers"}, options={"jobId": "order-1"})

    response = post(api, queue="count", data={"upto": 3}, options={"jobId": "order-1"})

    assert response.status_code == 409
    assert error_of(response).code == "taken"
    assert "hers" not in response.text


def test_a_tenants_id_is_its_own_and_the_job_is_found_under_both(api):
    post(api, queue="email-sync", data=SYNC, options={"jobId": "order-1"})

    response = post(api, queue="email-sync", data=SYNC, options={"jobId": "order-1", "tenantId": "acme"})

    assert response.status_code == 201
    assert response.headers["location"] == "/api/v1/jobs/acme~order-1"
    assert api.get("/api/v1/jobs/acme~order-1").json()["tenantId"] == "acme"
    assert api.get("/api/v1/jobs/order-1").json()["tenantId"] is None


def test_a_unique_job_is_answered_with_the_one_that_is_there(api):
    unique = {"by": ["account_id"], "mode": "until_started"}
    first = post(api, queue="email-sync", data=SYNC, options={"unique": unique})

    again = post(api, queue="email-sync", data={**SYNC, "userId": "u2"}, options={"unique": unique})

    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["id"] == first.json()["id"]
    assert again.json()["data"]["user_id"] == "u1"


def test_a_debounced_job_names_the_one_it_replaced(api):
    unique = {"key": "inbox", "mode": "debounce"}
    first = post(api, queue="email-sync", data=SYNC, options={"unique": unique}).json()

    response = post(api, queue="email-sync", data=SYNC, options={"unique": unique})

    assert response.headers["callboard-replaced"] == first["id"]


def test_that_failed_jobs_stay_may_be_said(api):
    response = post(api, queue="email-sync", data=SYNC, options={"removeOnFail": False})

    assert response.status_code == 201
    assert response.json()["opts"]["removeOnFail"] is False
