"""What is written down of a failure: enough to find its cause, and no value of the job."""

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.errors import InvalidPayload, PermanentError, RetryAfter
from jobs.failures import MAX_FRAMES, MAX_MESSAGE, describe, redact, worded_without_values


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("no such user: ada@example.org", "no such user: [address]"),
        ("<ada.lovelace+x@mail.example.co.uk> bounced", "<[address]> bounced"),
        ("card 4111111111111111 declined", "card [number] declined"),
        ("order 12345 is late", "order 12345 is late"),
        (
            "invalid literal for int() with base 10: '" + "x" * 40 + "'",
            "invalid literal for int() with base 10: [text]",
        ),
        ('cannot read "' + "secret " * 9 + '"', "cannot read [text]"),
        ("unexpected keyword argument 'name'", "unexpected keyword argument 'name'"),
        ("", ""),
    ],
)
def test_addresses_long_numbers_and_long_quotations_are_taken_out(text: str, redacted: str) -> None:
    assert redact(text) == redacted


@given(
    user=st.from_regex(r"[a-z0-9.]{1,20}", fullmatch=True),
    host=st.from_regex(r"[a-z0-9-]{1,20}\.[a-z]{2,5}", fullmatch=True),
    number=st.integers(10**6, 10**30),
)
def test_no_address_and_no_long_number_is_left(user: str, host: str, number: int) -> None:
    left = redact(f"cannot send {number} to {user}@{host}, ({user}@{host})")
    assert f"{user}@{host}" not in left
    assert str(number) not in left


@pytest.mark.parametrize("kind", [ValueError, PermanentError, lambda text: RetryAfter(1, text)])
def test_what_actors_and_libraries_say_is_redacted(kind: type[Exception]) -> None:
    assert describe(kind("ada@example.org")).message == "[address]"


def test_our_own_refusals_are_worded_without_values_and_stay_as_they_are() -> None:
    text = "invoice cannot take these arguments: number: input should be less than or equal to 1000000."
    assert describe(worded_without_values(InvalidPayload(text)), ("invoice", 1_000_000)).message == text
    assert describe(InvalidPayload(text), ["invoice", 1_000_000]).message == (
        "[argument] cannot take these arguments: number: input should be less than or equal to [argument]."
    )


def test_a_float_that_is_none_is_not_quoted() -> None:
    with pytest.raises(ValueError, match="hunter2") as raised:
        float("hunter2-secret")
    assert describe(raised.value, ["hunter2-secret"]).message == (
        "could not convert string to float: '[argument]'"
    )


def test_a_long_message_is_cut_after_it_was_redacted() -> None:
    failure = describe(ValueError("x" * (MAX_MESSAGE - 5) + " ada.lovelace@example.org and more" * 100))
    assert len(failure.message) <= MAX_MESSAGE
    assert "lovelace" not in failure.message


def test_an_exception_without_words_is_told_by_its_name() -> None:
    assert describe(TimeoutError()).message == "TimeoutError"


def test_the_stack_has_the_innermost_frames_with_file_line_and_function() -> None:
    def dig(depth: int) -> None:
        if depth == 0:
            raise ValueError("deep")
        dig(depth - 1)

    with pytest.raises(ValueError, match="deep") as raised:
        dig(50)
    stack = describe(raised.value).stack
    assert len(stack) == MAX_FRAMES
    assert all(frame.startswith(__file__ + ":") and frame.endswith(" in dig") for frame in stack)


@pytest.mark.parametrize("text", ["plain", "", "half a pair \ud83d", "null \0"])
def test_the_record_is_json_whatever_the_exception_says(text: str) -> None:
    error = orjson.loads(describe(ValueError(text)).to_record())["error"]
    assert error["type"] == "ValueError"
    assert isinstance(error["message"], str)
