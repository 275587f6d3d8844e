"""Messages that come along in another's options, to be sent later: a pipeline's next, what a group calls."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import orjson

from broker.json_form import json_form
from jobs.errors import PayloadTooLarge

if TYPE_CHECKING:
    from dramatiq import Message

#: The options in which they lie: the next of a pipeline, what a complete group calls.
NEXT, LAST = "pipe_target", "group_completion_callbacks"

Form = Mapping[str, Any]


def brought(options: Mapping[str, Any]) -> Iterator[tuple[Form, Mapping[str, Any]]]:
    """Each message in a message's options as a dictionary, and its own options."""
    last = options.get(LAST)
    for form in (options.get(NEXT), *(last if isinstance(last, list | tuple) else ())):
        if isinstance(form, Mapping):
            within = form.get("options")
            yield form, within if isinstance(within, Mapping) else {}


def refusal(message: "Message[Any]", error: PayloadTooLarge, max_bytes: int, *, own: bool) -> PayloadTooLarge:
    """Why a payload is too large, naming the message that comes along where that is the largest part. `own`:
    its own arguments are in it, and not put away."""
    most = (_size(message.args, message.kwargs) if own else 0, "")
    waiting: list[Mapping[str, Any]] = [message.options]
    while waiting:
        for form, within in brought(waiting.pop()):
            size = _size(form.get("args"), form.get("kwargs"))
            most = max(most, (size, str(form.get("actor_name"))))
            waiting.append(within)
    size, name = most
    if not name:
        return error
    return PayloadTooLarge(
        f"The arguments of {name}, which comes after {message.actor_name}, take {size:,} bytes; with all it "
        f"brings along a message may have {max_bytes:,}, and only its own arguments can be put away as a "
        f"blob. Store the data and send its id, let {message.actor_name} send {name} itself, or raise "
        f"payload.max_bytes."
    )


def _size(args: Any, kwargs: Any) -> int:
    return len(orjson.dumps([args, kwargs], default=json_form))
