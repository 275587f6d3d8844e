"""A message as the payload of a job, and back."""

import math
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import orjson
import pytest
from dramatiq import Message
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from broker.codec import Codec, UndecodablePayload
from jobs.errors import InvalidPayload, PayloadTooLarge
from jobs.memory import MemoryStore
from jobs.model import FetchRequest, Job, NewJob


def a_message(*args: Any, **kwargs: Any) -> "Message[Any]":
    return Message("email-sync", "email_sync", args, kwargs, {"user_id": "ada"}, "job-1", 1_790_000_000_123)


def stored(payload: bytes) -> Job:
    """The payload in a job as a store gives it back."""
    store = MemoryStore()
    store.enqueue([NewJob("job-1", "email-sync", "email_sync", payload)])
    job = store.get("job-1")
    assert job is not None
    return job


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NUMBERS = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda within: st.lists(within, max_size=3) | st.dictionaries(TEXT, within, max_size=3),
    max_leaves=10,
)
NAMES = st.from_regex("[a-z]{1,5}", fullmatch=True)


@given(args=st.lists(JSON, max_size=3), kwargs=st.dictionaries(NAMES, JSON, max_size=3))
def test_whatever_json_can_say_comes_back_as_it_was(args: list[Any], kwargs: dict[str, Any]) -> None:
    message = a_message(*args, **kwargs)
    codec = Codec()
    assert codec.message(stored(codec.encode(message))) == message


def test_a_worker_gets_the_same_as_an_inspector() -> None:
    codec, store = Codec(), MemoryStore()
    message = a_message(1, account="a1")
    store.enqueue([NewJob("job-1", "email-sync", "email_sync", codec.encode(message))])
    (fetched,) = store.fetch(FetchRequest("w", "t", 1, {"email-sync": 1})).jobs
    proxy = codec.proxy(fetched)

    assert (proxy.args, proxy.kwargs, proxy.options) == ((1,), {"account": "a1"}, {"user_id": "ada"})
    assert (proxy.message_id, proxy.queue_name, proxy.actor_name) == ("job-1", "email-sync", "email_sync")
    assert proxy.copy() == message
    assert "a1" not in f"{proxy} {proxy!r}", "Dramatiq prints it into its log"


class Colour(Enum):
    RED = "red"


class Line(BaseModel):
    amount: Decimal


@dataclass
class Point:
    x: int


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (datetime(2026, 3, 1, 12, tzinfo=UTC), "2026-03-01T12:00:00+00:00"),
        (Decimal("1.10"), "1.10"),
        (UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        (Colour.RED, "red"),
        (Line(amount=Decimal("1.10")), {"amount": "1.10"}),
        (Point(1), {"x": 1}),
        ({1, 2}, [1, 2]),
        ((1, 2), [1, 2]),
        (b"abc", "abc"),
    ],
    ids=str,
)
def test_what_pydantic_knows_is_written_as_pydantic_writes_it(value: object, written: object) -> None:
    codec = Codec()
    assert codec.message(stored(codec.encode(a_message(value)))).args == (written,)


@pytest.mark.parametrize(
    "value",
    [object(), lambda: None, 2**64, "half a pair \ud83d", {1: "a"}, b"\xff", math],
    ids=lambda value: type(value).__name__,
)
def test_what_has_no_json_form_is_refused_naming_the_actor(value: object) -> None:
    with pytest.raises(InvalidPayload, match="email_sync: an argument has no JSON form"):
        Codec().encode(a_message(value))


def test_a_payload_over_the_limit_is_refused_with_both_sizes_and_the_way_out() -> None:
    fits = Codec().encode(a_message("x" * 1_000))
    assert Codec(max_bytes=len(fits)).encode(a_message("x" * 1_000)) == fits
    with pytest.raises(
        PayloadTooLarge, match=rf"email_sync take {len(fits):,} bytes, more than the 1,0\d\d allowed"
    ):
        Codec(max_bytes=len(fits) - 1).encode(a_message("x" * 1_000))


def test_options_count_too() -> None:
    message = replace(a_message(), options={"user_id": "x" * 2_000})
    with pytest.raises(PayloadTooLarge):
        Codec(max_bytes=1_000).encode(message)


GOOD = orjson.loads(Codec().encode(a_message(1, b=2)))


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"secret garbage",
        b"null",
        b"7",
        b"{}",
        b'"abcd"',
        b"\x80\x04\x95secret pickle",
        orjson.dumps(GOOD[:-1]),
        orjson.dumps([*GOOD, 1]),
        *(orjson.dumps([*GOOD[:at], "secret", *GOOD[at + 1 :]]) for at in range(len(GOOD))),
        orjson.dumps([*GOOD[:-1], True]),
        b"[" * 100_000,
    ],
    ids=lambda payload: repr(payload[:30]),
)
def test_garbage_is_told_by_its_jobs_id_and_never_quoted(payload: bytes) -> None:
    with pytest.raises(UndecodablePayload, match="the payload of job job-1 is no message") as error:
        Codec().message(stored(payload))
    assert "secret" not in str(error.value)
    assert error.value.__cause__ is None


@given(payload=st.binary(max_size=200))
def test_any_bytes_are_a_message_or_undecodable(payload: bytes) -> None:
    with suppress(UndecodablePayload):
        assert isinstance(Codec().message(stored(payload)), Message)
