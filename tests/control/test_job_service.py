"""Jobs through the service: what API, CLI and dashboard share."""

from datetime import UTC, datetime

import pytest

from actors.composition import App
from control.service import JobService, NewJobRequest
from control.service.new_job import JobOptions
from jobs.errors import InvalidPayload, JobIdTaken, JobNotFound, UnknownActor, UnknownQueue
from jobs.memory import MemoryStore
from jobs.model import FetchRequest, NewJob, Outcome, Retention
from jobs.states import JobState
from tests.control.board import small_app, work

SYNC = {"user_id": "u1", "account_id": "a1"}


@pytest.fixture
def jobs(app: App) -> JobService:
    return JobService(app)


@pytest.mark.parametrize(
    ("queue", "name"),
    [
        ("email-sync", None),
        ("email_sync", None),
        (None, "email_sync"),
        ("email-sync", "email_sync"),
        ("email-sync", "email-sync"),
        ("email", "email_sync"),
        ("email", "email-sync"),
    ],
)
def test_a_job_can_be_added_by_queue_actor_or_document_name(jobs, queue, name):
    job, created, _ = jobs.add(NewJobRequest(queue=queue, name=name, data=SYNC))

    assert created
    assert (job.name, job.queue, job.state) == ("email_sync", "email-sync", JobState.WAITING)
    assert job.data == SYNC


def test_parameter_names_are_accepted_in_camel_case(jobs):
    job, *_ = jobs.add(NewJobRequest(queue="email-sync", data={"userId": "u1", "accountId": "a1"}))

    assert job.data == SYNC


def test_a_parameter_given_in_both_spellings_is_refused(jobs):
    with pytest.raises(InvalidPayload, match="user_id: it is given twice"):
        jobs.add(NewJobRequest(queue="email-sync", data={**SYNC, "userId": "u2"}))


def test_a_misspelt_queue_is_refused_with_the_nearest_name(jobs):
    with pytest.raises(UnknownQueue, match="did you mean email-sync"):
        jobs.add(NewJobRequest(queue="email-sink", data=SYNC))


def test_a_queue_near_to_none_is_refused_with_those_that_are_installed(jobs):
    with pytest.raises(UnknownQueue, match=r"'nosuchqueue': known here: count, email-draft, email-sync\.$"):
        jobs.add(NewJobRequest(queue="nosuchqueue", data=SYNC))


def test_a_name_that_fits_several_actors_is_refused_with_the_choices(jobs):
    with pytest.raises(UnknownQueue, match="email_draft, email_sync"):
        jobs.add(NewJobRequest(queue="email", data=SYNC))


def test_an_actor_of_the_catalogue_that_is_not_installed_is_named(jobs):
    with pytest.raises(UnknownActor, match="means the actor voice_call, which this installation does not"):
        jobs.add(NewJobRequest(queue="voice-processing"))


def test_a_queue_does_not_run_a_job_of_another_queue(jobs):
    with pytest.raises(UnknownQueue, match="has no job 'email_draft'"):
        jobs.add(NewJobRequest(queue="email-sync", name="email_draft", data=SYNC))


def test_without_queue_and_name_nothing_is_added(jobs):
    with pytest.raises(InvalidPayload, match="queue: give"):
        jobs.add(NewJobRequest(data=SYNC))


def test_the_same_id_twice_is_one_job(jobs, store):
    request = NewJobRequest(queue="email-sync", data=SYNC, options=JobOptions(jobId="invoice-7"))

    first, created, _ = jobs.add(request)
    again, created_again, _ = jobs.add(request)

    assert (created, created_again) == (True, False)
    assert first.id == again.id == "invoice-7"
    assert len(store.list_jobs("email-sync", JobState.WAITING)) == 1


def test_an_id_that_another_actors_job_has_is_refused_and_shows_nothing_of_it(jobs, store):
    theirs = {"user_id": "hers", "account_id": "a1"}
    jobs.add(NewJobRequest(queue="email-sync", data=theirs, options=JobOptions(jobId="invoice-7")))

    with pytest.raises(JobIdTaken, match="'invoice-7' is taken by another job") as caught:
        jobs.add(NewJobRequest(queue="count", data={"upto": 3}, options=JobOptions(jobId="invoice-7")))

    assert "hers" not in str(caught.value)
    assert store.list_jobs("count", JobState.WAITING) == []


def test_each_tenant_has_its_own_ids(jobs):
    ids = [
        jobs.add(NewJobRequest(queue="email-sync", data=SYNC, options=options)).job.id
        for options in (
            JobOptions(jobId="invoice-7"),
            JobOptions(jobId="invoice-7", tenantId="acme"),
            JobOptions(jobId="invoice-7", tenantId="other"),
        )
    ]

    assert ids == ["invoice-7", "acme~invoice-7", "other~invoice-7"]
    assert [jobs.get(job_id).tenant_id for job_id in ids] == [None, "acme", "other"]


def test_a_unique_job_that_is_there_is_the_answer_with_its_own_arguments(jobs):
    unique = {"key": "inbox-7"}
    first = jobs.add(NewJobRequest(queue="email-sync", data=SYNC, options={"unique": unique}))

    again = jobs.add(
        NewJobRequest(queue="email-sync", data={**SYNC, "full": True}, options={"unique": unique})
    )

    assert (again.job.id, again.created) == (first.job.id, False)
    assert again.job.data == SYNC


def test_the_newest_of_debounced_jobs_says_whose_place_it_took(jobs):
    options = {"unique": {"key": "inbox-7", "mode": "debounce"}, "delay": 5_000}
    first = jobs.add(NewJobRequest(queue="email-sync", data=SYNC, options=options))

    second = jobs.add(NewJobRequest(queue="email-sync", data=SYNC, options=options))

    assert (second.created, second.replaced) == (True, first.job.id)
    with pytest.raises(JobNotFound):
        jobs.get(first.job.id)


def test_a_job_may_be_asked_for_at_a_moment(jobs):
    moment = datetime(2031, 3, 1, 8, tzinfo=UTC)

    added = jobs.add(NewJobRequest(queue="email-sync", data=SYNC, options={"runAt": moment}))

    assert (added.job.state, added.job.due_at) == (JobState.DELAYED, moment)


def test_the_same_tenant_gets_its_own_job_again(jobs):
    options = JobOptions(jobId="invoice-7", tenantId="acme")
    request = NewJobRequest(queue="email-sync", data=SYNC, options=options)

    assert [jobs.add(request)[1], jobs.add(request)[1]] == [True, False]


def test_an_id_that_no_job_can_have_is_answered_with_the_rule(jobs):
    with pytest.raises(JobNotFound, match=r"there is no job 'a/b': a job's id is 1 to 128 letters"):
        jobs.get("a/b")


def test_the_view_holds_what_the_options_say_and_what_the_policy_adds(jobs):
    options = JobOptions(priority=1, delay=60_000, attempts=7, backoff={"type": "fixed", "delay": 50})

    job, *_ = jobs.add(NewJobRequest(queue="email-sync", data=SYNC, options=options))

    shown = job.to_json()["opts"]
    assert job.state is JobState.DELAYED
    assert shown["priority"] == 1
    assert shown["attempts"] == 7
    assert shown["backoff"] == {"type": "fixed", "delay": 50}
    assert shown["delay"] == 60_000
    assert shown["timeout"] == 300_000  # the policy of email-sync
    assert shown["removeOnComplete"] == 1_000


def test_a_completed_job_shows_its_result_and_times(jobs, store):
    job, *_ = jobs.add(NewJobRequest(queue="email-sync", data=SYNC))
    work(store, "email-sync", record=b'{"result": {"new": 12}}')

    view = jobs.get(job.id)

    assert view.state is JobState.COMPLETED
    assert view.returnvalue == {"new": 12}
    assert view.progress == 100
    assert view.attempts_made == 1
    assert view.wait_ms is not None
    assert view.run_ms is not None
    assert view.processed_on <= view.finished_on


def test_a_failed_job_shows_why(jobs, store):
    job, *_ = jobs.add(NewJobRequest(queue="email-sync", data=SYNC))
    record = (
        b'{"error": {"type": "LoginRefused", "message": "wrong password", "stack": ["imap.py:12 login"]}}'
    )
    work(store, "email-sync", Outcome.FAILED, record)

    view = jobs.get(job.id)

    assert view.state is JobState.FAILED
    assert view.failed_reason == "LoginRefused: wrong password"
    assert view.stacktrace == ["imap.py:12 login"]
    assert view.dead_letter == "dead-letter"


def test_garbage_in_a_payload_is_shown_as_no_data(jobs, store):
    store.enqueue([NewJob("j1", "email-sync", "email_sync", payload=b"\xff garbage")])

    assert jobs.get("j1").data is None


def test_arguments_sent_by_position_are_shown_by_name(jobs, app):
    message = app.broker.actors["email_sync"].send("u1", "a1", full=True)

    assert jobs.get(message.message_id).data == {**SYNC, "full": True}


def test_progress_is_what_the_job_reported(jobs, store):
    job, *_ = jobs.add(NewJobRequest(queue="email-sync", data=SYNC))
    (held,) = store.fetch(FetchRequest("w1", "t1", 1, {"email-sync": 1})).jobs
    told = b'{"percent": 40, "message": "fetching", "done": 4, "total": 10}'
    store.report_progress("w1", {job.id: (held.token, told)})

    progress = jobs.progress(job.id)

    assert progress.to_json() == {
        "id": job.id,
        "state": "active",
        "percent": 40,
        "message": "fetching",
        "done": 4,
        "total": 10,
        "milestones": [],
    }


def test_a_job_that_is_not_there_is_named(jobs):
    with pytest.raises(JobNotFound, match="there is no job 'nope'"):
        jobs.get("nope")


def test_watching_shows_each_change_and_ends_when_the_job_settles(jobs, store):
    job, *_ = jobs.add(NewJobRequest(queue="email-sync", data=SYNC))
    steps = iter([lambda: None, lambda: work(store, "email-sync")])

    sights = list(jobs.watch(job.id, pause=lambda seconds: next(steps)()))

    assert [view.state for view, _ in sights] == [JobState.WAITING, JobState.COMPLETED]


def test_jobs_are_listed_by_state_over_all_queues_of_a_document_name(jobs):
    jobs.add(NewJobRequest(queue="email-sync", data=SYNC))
    jobs.add(NewJobRequest(queue="email-draft", data={"thread_id": "t"}))

    listed = jobs.list("email", JobState.WAITING)

    assert sorted(job.queue for job in listed) == ["email-draft", "email-sync"]
    assert jobs.list("email", JobState.FAILED) == []


def test_a_job_removed_as_soon_as_it_was_done_is_still_answered(tmp_path):
    class QuickStore(MemoryStore):
        def get(self, job_id):
            return None

    job, created, _ = JobService(small_app(QuickStore(), tmp_path)).add(
        NewJobRequest(queue="email-sync", data=SYNC)
    )

    assert created
    assert job.name == "email_sync"


def test_an_id_that_was_settled_and_removed_just_now_is_not_taken_again(jobs, store):
    request = NewJobRequest(queue="email-sync", data=SYNC, options=JobOptions(jobId="x-1"))
    jobs.add(request)
    work(store, "email-sync")
    store.trim({"email-sync": Retention(completed_ms=0)})

    with pytest.raises(JobIdTaken, match=r"'x-1' was used by a job that has left .* for 7 days"):
        jobs.add(request)

    assert store.list_jobs("email-sync", JobState.WAITING) == []


def test_the_delay_is_still_shown_when_the_job_has_run(tmp_path):
    now = [1_000_000]
    store = MemoryStore(clock=lambda: now[0])
    jobs = JobService(small_app(store, tmp_path))
    job, *_ = jobs.add(NewJobRequest(queue="email-sync", data=SYNC, options=JobOptions(delay=5_000)))
    now[0] += 9_000

    work(store, "email-sync")

    view = jobs.get(job.id)
    assert (view.opts.delay, view.wait_ms) == (5_000, 4_000)
