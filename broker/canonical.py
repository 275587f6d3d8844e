"""One form for values that are the same, whatever they were written as: for digests, never for a payload.

Equal moments are one text whatever zone they were given in, sets are sorted, models are what is in them.
"""

import dataclasses
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from enum import Enum
from typing import Any

import orjson
import pydantic

from broker.json_form import json_form

_PLAIN = (str, int, float, bool, type(None))
_LISTS = (list, tuple)
_SETS = (set, frozenset)


def canonical(value: Any) -> Any:
    """A value as JSON can say it; secrets with what is in them. Raises TypeError for what has no form, and
    RecursionError for what lies too deep."""
    if isinstance(value, Enum):
        return canonical(value.value)
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, Mapping):
        return {_key(name): canonical(within) for name, within in value.items()}
    if isinstance(value, _LISTS):
        return [canonical(within) for within in value]
    if isinstance(value, _SETS):
        return sorted(map(canonical, value), key=_written)
    if isinstance(value, datetime):
        return _in_utc(value).isoformat()
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, pydantic.BaseModel):
        return _of_model(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {one.name: canonical(getattr(value, one.name)) for one in dataclasses.fields(value)}
    return canonical(json_form(value))


def _of_model(model: pydantic.BaseModel) -> Any:
    try:
        return canonical(model.model_dump(warnings=False))
    except (TypeError, ValueError):
        return json_form(model)  # a field that only the model itself can write


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        return moment
    try:
        return moment.astimezone(UTC)
    except OverflowError:  # in the first or the last hours that there are
        return moment


def _key(name: Any) -> str:
    form = canonical(name)
    return form if isinstance(form, str) else _written(form).decode()


def _written(form: Any) -> bytes:
    return orjson.dumps(form, option=orjson.OPT_SORT_KEYS)
