"""Limits that count while jobs run: who they are for, what rests, and what a job takes by itself."""

from typing import Annotated, Any

import pytest

from actors.composition import App
from actors.declare import actor
from broker.testing import FakeJobs, inline
from jobs.errors import HoldJob, InvalidPayload, LimitReached, StoreUnavailable
from jobs.marks import Secret
from jobs.states import JobState
from middleware.limits import Limits, limit
from middleware.tenancy import tenant
from tests.middleware.steps import job_of


@pytest.fixture
def policies() -> dict[str, Any]:
    bucket = {"algorithm": "token_bucket", "limit": 2, "per": "1min"}
    return {
        "limits": {
            "mail": {"by": "tenant", "queues": ["send"], **bucket},
            "spaced": {"by": "tenant", "queues": ["spell"], "algorithm": "gcra", "limit": 2, "per": "1min"},
            "person": {"by": "user", "queues": ["ask"], **bucket},
            "heavy": {"by": "queue", "queues": ["crunch"], **bucket, "limit": 10},
            "gmail": {"by": "resource", "algorithm": "concurrency", "limit": 1},
            "quota": {"by": "resource", **bucket},
        },
        "tenants": {"big": {"limits": {"mail": {"limit": 4}}}},
    }


def test_a_tenant_has_what_its_limit_allows_and_its_own_where_the_settings_say_so(jobs: FakeJobs) -> None:
    runs: list[str] = []

    @actor
    def send(of: str) -> None:
        runs.append(of)

    for name in ("acme", "big"):
        for _ in range(6):
            send.send_with_options(args=(name,), tenant_id=name)
    jobs.run_all()
    assert (runs.count("acme"), runs.count("big")) == (2, 4)
    assert all(job.attempts == 0 for job in jobs.queued())
    jobs.advance(61)
    jobs.run_all()
    assert (runs.count("acme"), runs.count("big")) == (4, 6)


def test_a_job_whose_token_is_near_waits_for_it_in_its_thread(
    jobs: FakeJobs, app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[str] = []
    (limits,) = [one for one in app.broker.middleware if isinstance(one, Limits)]
    monkeypatch.setattr(limits, "_threads", lambda: (3, 4))

    @actor
    def spell(of: str) -> None:
        runs.append(of)

    for _ in range(2):
        spell.send_with_options(args=("acme",), tenant_id="acme")
    jobs.run_all()
    jobs.advance(29.985)
    monkeypatch.setattr("middleware.limits.time.sleep", lambda seconds: runs.append(f"waits {seconds:g} s"))
    jobs.run_all()
    assert len(runs) == 3
    assert runs[1].startswith("waits 0.01")
    assert runs[2] == "acme"


def test_a_users_jobs_wait_by_themselves_and_those_of_others_go_on(jobs: FakeJobs) -> None:
    runs: list[str] = []

    @actor
    def ask(of: str) -> None:
        runs.append(of)

    for user in ("ann", "ann", "ann", "bob", "bob"):
        with tenant("acme", user_id=user):
            ask.send(user)
    ask.send("nobody")
    jobs.run_all()
    assert sorted(runs) == ["ann", "ann", "bob", "bob", "nobody"]
    (waiting,) = jobs.queued()
    assert "the limit person is used up for acme/ann" in waiting.held_reason


def test_a_job_says_what_it_costs(jobs: FakeJobs) -> None:
    runs: list[int] = []

    @actor(cost=3)
    def crunch(number: int) -> None:
        runs.append(number)

    crunch.send_with_options(args=(0,), cost=8)
    for number in range(1, 4):
        crunch.send(number)
    jobs.run_all()
    assert runs == [0]
    jobs.advance(7)  # 1.2 tokens: three are there
    jobs.run_all()
    assert runs == [0, 1]
    with pytest.raises(InvalidPayload, match="cost must be a whole number"):
        crunch.send_with_options(args=(0,), cost=0)


def test_a_resource_is_given_back_at_the_end_of_its_block(jobs: FakeJobs, app: App) -> None:
    left: list[int] = []

    @actor
    def look() -> None:
        with limit("gmail:acct-7"):
            left.append(app.store.limit_states([app.limits.rules["gmail"]])[0].left)
        left.append(app.store.limit_states([app.limits.rules["gmail"]])[0].left)
        limit("gmail:acct-8")

    message = look.send()
    jobs.run_all()
    assert (left, job_of(jobs, message).state) == ([0, 1], JobState.COMPLETED)
    assert all(state.left == 1 for state in jobs.store.limit_states([app.limits.rules["gmail"]]))


def test_a_job_without_its_resource_is_held_and_starts_anew(jobs: FakeJobs) -> None:
    runs: list[str] = []

    @actor(attempts=1)
    def fetch(name: str) -> None:
        runs.append(f"{name} begins")
        limit("quota:acct-7")
        runs.append(name)

    for name in ("a", "b", "c"):
        fetch.send(name)
    jobs.run_all()
    assert runs == ["a begins", "a", "b begins", "b", "c begins"]
    jobs.advance(31)
    jobs.run_all()
    assert runs[-2:] == ["c begins", "c"]


def test_a_resource_that_no_limit_is_for_is_refused(jobs: FakeJobs) -> None:
    @actor
    def look() -> None:
        limit("imap:acct-7")

    message = look.send()
    jobs.run_all()
    job = job_of(jobs, message)
    assert job.state is JobState.FAILED
    assert b"no limit [limits.imap] by resource" in (job.record or b"")


def test_a_resource_that_would_show_a_private_argument_is_refused(jobs: FakeJobs) -> None:
    @actor(attempts=1)
    def fetch(address: Annotated[str, Secret], account: int) -> None:
        limit(f"gmail:acct-{account}")
        limit(f"quota:{address}")

    message = fetch.send("ada@example.com", 7)
    jobs.run_all()
    record = job_of(jobs, message).record or b""
    assert b"names of resources are stored in clear: name the resource by an id" in record
    assert b"ada@" not in record


def test_a_limit_that_is_refused_is_no_failure_that_an_actor_may_swallow(jobs: FakeJobs) -> None:
    sent: list[str] = []

    @actor
    def mail_all(name: str) -> None:
        try:
            limit("quota:acct-7")
            sent.append(name)
        except Exception:  # as in actors that want to go on with the next
            sent.append(f"{name} failed")

    for name in ("a", "b", "c"):
        mail_all.send(name)
    jobs.run_all()
    (waiting,) = jobs.queued()
    assert (sent, waiting.attempts) == (["a", "b"], 0)
    assert "the limit quota is used up for acct-7" in waiting.held_reason
    jobs.advance(31)
    jobs.run_all()
    assert sent == ["a", "b", "c"]


def test_an_actor_that_has_another_way_says_so(jobs: FakeJobs) -> None:
    used: list[str] = []

    @actor
    def fetch() -> None:
        for account in ("one", "two"):
            try:
                limit(f"quota:{account}", cost=2)
                used.append(account)
                return
            except LimitReached:
                continue

    messages = [fetch.send() for _ in range(2)]
    jobs.run_all()
    assert used == ["one", "two"]
    assert {job_of(jobs, message).state for message in messages} == {JobState.COMPLETED}


def test_a_permit_that_is_its_gate_is_not_taken_twice(jobs: FakeJobs) -> None:
    runs: list[str] = []

    @actor(gate="gmail:acct-7")
    def sync() -> None:
        runs.append("begins")
        with limit("gmail:acct-7"):
            runs.append("has it")

    message = sync.send()
    jobs.run_all()
    assert (runs, job_of(jobs, message).state) == (["begins", "has it"], JobState.COMPLETED)


def test_a_job_that_waits_for_itself_fails_and_says_why(jobs: FakeJobs) -> None:
    runs: list[int] = []

    @actor
    def sync() -> None:
        runs.append(1)
        with limit("gmail:acct-7"), limit("gmail:acct-7"):
            runs.append(2)

    message = sync.send()
    jobs.run_all()
    job = job_of(jobs, message)
    assert (runs, job.state) == ([1], JobState.FAILED)
    assert b"the job itself holds what the limit gmail has for acct-7" in (job.record or b"")


@pytest.mark.parametrize("raised", [None, ValueError("the work's own")])
def test_a_store_that_is_away_at_the_end_of_a_block_changes_nothing(
    jobs: FakeJobs, app: App, monkeypatch: pytest.MonkeyPatch, raised: Exception | None
) -> None:
    runs: list[int] = []

    def give_back(*args: object, **kwargs: object) -> None:
        raise StoreUnavailable("the store cannot be reached")

    monkeypatch.setattr(app.store, "give_back", give_back)

    @actor(attempts=1)
    def mail() -> None:
        with limit("gmail:acct-7"):
            runs.append(1)
            if raised is not None:
                raise raised

    message = mail.send()
    jobs.run_all()
    job = job_of(jobs, message)
    assert (runs, job.state) == ([1], JobState.COMPLETED if raised is None else JobState.FAILED)
    assert (b"the work's own" in (job.record or b"")) is (raised is not None)
    mail.send()  # the permit has ended with the job
    jobs.run_all()
    assert runs == [1, 1]


def test_outside_of_a_job_a_limit_holds_nothing_back() -> None:
    for _ in range(3):
        with limit("gmail:acct-7"):
            pass


def test_inline_says_that_the_job_would_be_held(app: App) -> None:
    @actor
    def send(of: str) -> None: ...

    with inline(app.broker):
        for _ in range(2):
            send.send_with_options(args=("acme",), tenant_id="acme")
        with pytest.raises(HoldJob, match="the limit mail is used up for acme"):
            send.send_with_options(args=("acme",), tenant_id="acme")


def test_a_gate_is_named_by_the_arguments_and_waits_alone(jobs: FakeJobs) -> None:
    runs: list[str] = []

    @actor(gate="quota:{account}")
    def sync(account: str, full: bool = False) -> None:
        runs.append(account)

    for account in ("one", "one", "one", "two"):
        sync.send_with_options(args=(account,), tenant_id="acme")
    sync.send_with_options(kwargs={"account": "two"}, tenant_id="acme")
    assert {job.gate for job in jobs.queued()} == {"quota:one", "quota:two"}
    jobs.run_all()
    assert sorted(runs) == ["one", "one", "two", "two"]


@pytest.mark.parametrize(
    ("gate", "problem"),
    [
        ("gmail:{acount}", "names 'acount'"),
        ("gmail:{account", "without its other"),
        ("gmail:{account!r}", "no format"),
        ("gmail:{token}", "marked Secret or PII"),
    ],
)
def test_a_gate_that_cannot_be_made_is_refused_when_the_actor_is_declared(
    app: App, gate: str, problem: str
) -> None:
    with pytest.raises(InvalidPayload, match=problem):

        @actor(gate=gate)
        def sync(account: str, token: Annotated[str, Secret]) -> None: ...


def test_a_gate_of_unfit_arguments_is_refused_at_send(jobs: FakeJobs) -> None:
    @actor(gate="gmail:{account}")
    def sync(account: str) -> None: ...

    with pytest.raises(InvalidPayload, match="short, printable arguments"):
        sync.send("x" * 101)
