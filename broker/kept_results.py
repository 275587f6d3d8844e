"""What is kept of a result: the actor's and the queue's rules, and the form in which it is kept."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson
from pydantic_core import to_jsonable_python

from broker.proxy import JobProxy
from jobs.rules import QueueRules


class Keeping(NamedTuple):
    """`ttl_ms` 0: as long as the job."""

    store: bool
    max_bytes: int
    ttl_ms: int


def keeping(rules: QueueRules, declared: Mapping[str, Any], options: Mapping[str, Any]) -> Keeping:
    """The call's word, else the actor's (`declared`), else the queue's."""

    def chosen(name: str, default: Any) -> Any:
        value = options.get(name)
        value = declared.get(name) if value is None else value
        return default if value is None else value

    return Keeping(
        chosen("store_results", rules.store_results),
        chosen("result_max_bytes", rules.result_bytes),
        chosen("result_ttl", rules.result_ms),
    )


def result_form(proxy: JobProxy, rules: QueueRules, declared: Mapping[str, Any]) -> tuple[bytes | None, int]:
    """The record of a result that is not None, and how long it is kept, in ms.

    One that has no JSON form, or is too long, leaves a note in its place; the job is completed all the same.
    """
    rule = keeping(rules, declared, proxy.options)
    if not rule.store:
        return None, 0
    try:
        record = orjson.dumps({"result": proxy.result}, default=to_jsonable_python)
    except (TypeError, ValueError):
        return _note(f"a {type(proxy.result).__name__} has no JSON form"), rule.ttl_ms
    if len(record) > rule.max_bytes:
        note = f"the result took {len(record):,} bytes, more than the {rule.max_bytes:,} that are kept"
        return _note(note), rule.ttl_ms
    return record, rule.ttl_ms


def _note(words: str) -> bytes:
    return orjson.dumps({"result": None, "note": words})
