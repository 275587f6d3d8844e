"""The message that `send()` returns: Dramatiq's in every respect, and it tells what became of the job."""

import time
from dataclasses import FrozenInstanceError, fields
from typing import Any

import pytest
from dramatiq import Message

from broker.sent import SentMessage, as_sent, make_message, new_id


def sent(**changes: Any) -> "SentMessage[Any]":
    message = make_message(Message, "letters", "write", (1,), {"to": "ada"}, {"user_id": "u1"})
    return as_sent(message, **{"message_id": "acme~7", "created": False, "replaced": "old"} | changes)


def test_it_has_the_fields_of_a_message_and_what_became_of_it() -> None:
    assert [field.name for field in fields(SentMessage)] == [
        *(field.name for field in fields(Message)),
        "created",
        "replaced",
        "reason",
    ]
    message = sent()
    assert isinstance(message, Message)
    assert (message.message_id, message.created, message.replaced) == ("acme~7", False, "old")
    with pytest.raises(FrozenInstanceError):
        message.created = True  # type: ignore[misc]


@pytest.mark.parametrize("kind", [Message, SentMessage])
def test_a_message_made_fast_is_one_as_dramatiq_makes_it(kind: Any) -> None:
    fast = make_message(kind, "letters", "write", (1,), {"to": "ada"}, {"user_id": "u1"})
    made = kind("letters", "write", (1,), {"to": "ada"}, {"user_id": "u1"})
    changed = fast.copy(message_id=made.message_id, message_timestamp=made.message_timestamp)
    assert changed == made
    assert type(changed) is type(fast) is kind
    assert abs(made.message_timestamp - fast.message_timestamp) < 5_000, "milliseconds"
    assert fast.message_datetime.year == made.message_datetime.year


def test_ids_are_32_hex_digits_and_never_the_same() -> None:
    ids = {new_id() for _ in range(10_000)}
    assert len(ids) == 10_000
    assert {len(one) for one in ids} == {32}


def test_ids_are_in_the_order_of_time(monkeypatch: pytest.MonkeyPatch) -> None:
    times = [1, 2_000_000, 3_000_000_000, time.time_ns()]
    given = iter(times)
    monkeypatch.setattr("broker.sent.time.time_ns", lambda: next(given))
    ids = [new_id() for _ in times]
    assert ids == sorted(ids)
    assert int(ids[-1][:12], 16) == times[-1] // 1_000_000


def test_a_copy_keeps_what_became_of_it() -> None:
    copy = sent().copy(options={"priority": 1})
    assert isinstance(copy, SentMessage)
    assert (copy.created, copy.replaced, copy.message_id) == (False, "old", "acme~7")
    assert copy.options == {"user_id": "u1", "priority": 1}


def test_as_a_dictionary_it_is_a_message_because_dramatiq_makes_one_of_it() -> None:
    for data in (sent().asdict(), sent()._asdict()):
        again: Message[Any] = Message(**data)
        assert (again.message_id, again.args, again.kwargs) == ("acme~7", (1,), {"to": "ada"})


def test_it_can_be_written_and_read_back() -> None:
    assert Message.decode(sent().encode()).message_id == "acme~7"
    again = SentMessage.decode(sent().encode())
    assert (type(again), again.message_id) == (SentMessage, "acme~7")


def test_messages_can_be_ordered() -> None:
    one, other = sent(message_id="a"), sent(message_id="b")
    assert sorted([other, one]) == [one, other]
