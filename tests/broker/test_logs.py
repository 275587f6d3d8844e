"""What a job writes into the log."""

import logging

import dramatiq
import pytest
from dramatiq.brokers.stub import StubBroker

from broker.logs import WORKER_LOGGER, keep_arguments_out, quiet_actor
from tests.broker.hands import a_proxy


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


def test_what_a_job_was_given_is_taken_out_of_what_its_exception_says(
    caplog: pytest.LogCaptureFixture,
) -> None:
    keep_arguments_out()
    proxy = a_proxy("one")
    proxy.replace_arguments(("hunter2",), {"account": "ada1815"})
    log = logging.getLogger(WORKER_LOGGER)
    error = ValueError("account ada1815 has not 'hunter2'")

    with caplog.at_level(logging.DEBUG, WORKER_LOGGER):
        log.error("Failed to process message %s.", proxy, exc_info=error)
        log.debug("Rate limit exceeded in message %s: %s.", proxy, error)

    assert "ValueError: account [argument] has not '[argument]'" in caplog.text
    assert (
        "Rate limit exceeded in message actor[one]: account [argument] has not '[argument]'." in caplog.text
    )
    assert "hunter2" not in caplog.text


def test_a_quiet_actor_says_nothing_of_its_arguments_and_may_still_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    @dramatiq.actor(broker=StubBroker())  # type: ignore[no-untyped-call]
    def login(password: str) -> None:
        login.logger.info("somebody came")

    quiet_actor(login)
    quiet_actor(login)
    with caplog.at_level(logging.DEBUG):
        login("hunter2")
    assert [record.getMessage() for record in caplog.records] == ["somebody came"]
    assert len(login.logger.filters) == 1
