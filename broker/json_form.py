"""What has no JSON form of its own, as pydantic writes it; secrets with their value, for they must arrive.

Pydantic writes asterisks for its secrets, so that they get into no log. A payload is no log: it is sealed.
"""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

import pydantic
from pydantic_core import to_jsonable_python

_SECRETS = (pydantic.SecretStr, pydantic.SecretBytes, pydantic.Secret)
#: Written as lists here, so that orjson comes back for each of their values.
_LISTS = (set, frozenset, tuple, deque)


def json_form(value: Any) -> Any:
    """For `orjson.dumps(…, default=json_form)`. Raises TypeError for what has no form."""
    if isinstance(value, _SECRETS):
        return value.get_secret_value()
    if isinstance(value, _LISTS):
        return list(value)
    try:
        written = to_jsonable_python(value)
        if isinstance(value, pydantic.BaseModel):
            plain = value.model_dump(warnings=False)
            return _unhidden(written, plain) if _holds_secret(plain) else written
    except ValueError as error:
        raise TypeError(f"{type(value).__name__} is unknown") from error
    return written


def _holds_secret(plain: Any) -> bool:
    if isinstance(plain, str | int | float | None):
        return False
    return isinstance(plain, _SECRETS) or any(map(_holds_secret, _within(plain)))


def _unhidden(written: Any, plain: Any) -> Any:
    """The written form of a model, with secrets where its plain form has them; both have one shape."""
    if isinstance(plain, _SECRETS):
        return plain.get_secret_value()
    if isinstance(written, dict) and isinstance(plain, Mapping):
        if written.keys() == plain.keys():
            return {key: _unhidden(part, plain[key]) for key, part in written.items()}
        parts = zip(written.items(), plain.values(), strict=True)  # keys that JSON writes in another way
        return {key: _unhidden(part, value) for (key, part), value in parts}
    if isinstance(written, list) and isinstance(plain, (list, *_LISTS)):
        return [_unhidden(part, value) for part, value in zip(written, plain, strict=True)]
    return written


def _within(plain: Any) -> Iterator[Any]:
    if isinstance(plain, Mapping):
        return iter(plain.values())
    return iter(plain) if isinstance(plain, (list, *_LISTS)) else iter(())
