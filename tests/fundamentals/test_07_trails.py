"""7. Every attempt leaves a row in the audit, written by the worker itself."""

from actors.composition import App
from actors.declare import actor
from database.audit import AuditReader
from tests.fundamentals.stage import StartWorker
from tests.waiting import eventually


def test_each_attempt_is_a_row_with_its_outcome(real_app: App, running_worker: StartWorker) -> None:
    answers = iter([ConnectionError("no route"), None])

    @actor(backoff={"type": "fixed", "delay": 0})
    def flaky() -> None:
        if answer := next(answers):
            raise answer

    running_worker()
    message = flaky.send_with_options(tenant_id="acme", user_id="ada")
    audit = AuditReader(real_app.engine())
    rows = eventually(lambda: len(rows := audit.attempts(message.message_id)) == 2 and rows)

    assert [(row.attempt, row.outcome, row.error_type) for row in rows] == [
        (1, "retry", "ConnectionError"),
        (2, "completed", None),
    ]
    assert {(row.tenant_id, row.user_id, row.queue) for row in rows} == {("acme", "ada", "flaky")}
