"""What a failing job writes into the log."""

import logging

import pytest

from broker.logs import WORKER_LOGGER, keep_arguments_out


def test_a_failure_is_logged_with_its_stack_and_without_the_arguments(
    caplog: pytest.LogCaptureFixture,
) -> None:
    keep_arguments_out()
    keep_arguments_out()

    def send(address: str) -> None:
        raise ValueError(f"no such mailbox: {address}, card 4111111111111111")

    with caplog.at_level(logging.ERROR, WORKER_LOGGER):
        try:
            send("ada@example.org")
        except ValueError:
            logging.getLogger(WORKER_LOGGER).error("Failed to process %s.", "mail[1]", exc_info=True)

    assert "Failed to process mail[1]." in caplog.text
    assert "ValueError: no such mailbox: [address], card [number]" in caplog.text
    assert "in send" in caplog.text
    assert "ada@" not in caplog.text
    assert "4111" not in caplog.text
