"""Which failures another attempt would mend: the lists of S1 (section 7.5), and what settings add to them."""

import errno
import smtplib
from typing import Any

import pytest

from jobs.error_lists import ErrorLists, status_of


class Answered(Exception):
    """What clients of HTTP raise: the status is on them, or on the response that they carry."""

    def __init__(self, message: str = "", **attributes: object) -> None:
        super().__init__(message)
        self.__dict__.update(attributes)


class Response:
    def __init__(self, status_code: int) -> None:
        self.status_code = status_code


@pytest.mark.parametrize(
    ("failure", "helps"),
    [
        # S1's own
        (OSError(errno.ECONNRESET, "reset"), True),
        (OSError(errno.ETIMEDOUT, "timed out"), True),
        (Answered("read ECONNRESET"), True),
        (Answered("Rate limit exceeded"), True),
        (Answered("upstream: service temporarily unavailable, sorry"), True),
        (Answered("Authentication failed"), False),
        (Answered("404: Resource not found."), False),
        (Answered("Invalid configuration of the mailbox"), False),
        # S4's codes
        (Answered(code="RATE_LIMIT"), True),
        (Answered(code="PERMANENT_ERROR"), False),
        # HTTP
        (Answered(status_code=429), True),
        (Answered(status=503), True),
        (Answered(response=Response(401)), False),
        (Answered(resp=Answered(status=404)), False),
        (Answered(code=422), False),
        (Answered(status_code=418), None),
        # types
        (ConnectionResetError("gone"), True),
        (TimeoutError(), True),
        (NotImplementedError(), False),
        (ValueError("strange"), None),
    ],
    ids=repr,
)
def test_a_failure_is_known_by_its_type_its_status_its_code_or_its_words(
    failure: Exception, helps: bool | None
) -> None:
    assert ErrorLists().helps(failure) is helps


@pytest.mark.parametrize(
    ("retryable", "permanent", "failure", "helps"),
    [
        (["ValueError"], [], UnicodeError("x"), True),  # a class that derives from one of the list
        ([], ["smtplib.SMTPDataError"], smtplib.SMTPDataError(550, b"no"), False),
        (["http:4xx"], [], Answered(status_code=404), True),  # the settings go before the house
        ([], ["http:503"], Answered(status_code=503), False),
        (["LookupError"], ["KeyError"], KeyError("x"), False),  # the nearest class counts
        (["quota * used up"], [], Answered("the quota for today is used up"), True),
        (["try later"], ["try later"], Answered("Try Later"), True),  # where both fit it is tried again
        ([], ["EPIPE"], BrokenPipeError(errno.EPIPE, "broken"), False),
    ],
)
def test_what_the_settings_say_counts_first(
    retryable: list[str], permanent: list[str], failure: Exception, helps: bool
) -> None:
    assert ErrorLists(retryable, permanent).helps(failure) is helps


class Odd(Exception):
    status_code = True
    code: Any = object()
    errno = "soon"

    def __str__(self) -> str:
        raise RuntimeError("this cannot be written down")


def test_what_says_nonsense_of_itself_is_not_known() -> None:
    assert ErrorLists().helps(Odd()) is None
    assert status_of(Odd()) is None
    assert status_of(Answered(status=99)) is None
