"""Our own actors' errors are whole sentences in the record, where the values of arguments are hidden."""

from typing import Any

import pytest

from integrations.errors import PermanentFailure
from integrations.rendering.report import ReportData
from jobs.failures import describe


def recorded(error: BaseException, *arguments: Any) -> str:
    return describe(error, arguments).message


def test_of_a_report_the_field_is_named_although_it_is_a_key_of_the_argument() -> None:
    from actors.reports import report_generate

    report = {"title": "Stock", "columns": "Item", "rows": []}
    with pytest.raises(PermanentFailure) as refused:
        report_generate.fn("custom", "csv", report)
    said = recorded(refused.value, "custom", "csv", report)
    assert said == "The report field 'columns' must be a list."


@pytest.mark.parametrize(
    "report",
    [
        {"secret-field": 1},
        {"title": "T", "columns": [{"title": "secret-column", "kind": "number"}], "rows": [["secret-cell"]]},
        {"title": "T", "columns": [{"title": "secret-column", "kind": "secret-kind"}], "rows": []},
    ],
)
def test_what_is_said_of_a_report_quotes_nothing_that_its_sender_has_written(report: dict[str, Any]) -> None:
    with pytest.raises(PermanentFailure) as refused:
        ReportData.from_mapping(report)
    assert "secret" not in str(refused.value)


def test_an_endpoint_that_refuses_is_told_by_its_host_and_a_mailbox_by_the_parameter() -> None:
    from actors.email import email_sync
    from integrations.webhooks import Delivery, WebhookRefused, _judge

    with pytest.raises(WebhookRefused) as refused:
        _judge("crm.example.org", Delivery(400, 1.0, ""), {})  # type: ignore[arg-type]
    said = recorded(refused.value, "crm-orders", "job.completed")
    assert said == "The webhook endpoint at crm.example.org answered 400: it refuses the message."

    with pytest.raises(PermanentFailure) as missing:
        email_sync.fn("ann1", "nobody")
    assert "[argument]" not in recorded(missing.value, "ann1", "nobody")
