"""What has no JSON form of its own, as pydantic writes it; secrets with their value, for they must arrive.

Pydantic writes asterisks for its secrets, so that they get into no log. A payload is no log: where it holds
one it is encrypted.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import orjson
import pydantic
from pydantic_core import to_jsonable_python

#: With a ClearForm: orjson would write what is marked in a data class without asking.
CLEAR = orjson.OPT_PASSTHROUGH_DATACLASS
#: Whether objects of a class hold what is marked Secret or PII.
IsMarked = Callable[[type], bool]

_SECRETS = (pydantic.SecretStr, pydantic.SecretBytes, pydantic.Secret)
#: Written as lists here, so that orjson comes back for each of their values.
_LISTS = (set, frozenset, tuple, deque)
_PLAIN = frozenset({str, int, float, bool, bytes, type(None)})


class SecretMet(Exception):
    """A value is secret: pydantic's, or of a class that holds what is marked."""


def json_form(value: Any) -> Any:
    """For `orjson.dumps(…, default=json_form)`. Raises TypeError for what has no form."""
    return _form(value, _unhidden)


class ClearForm:
    """For `orjson.dumps(…, default=ClearForm(…), option=CLEAR)`: of what is to be read by anybody. Only what
    orjson does not write by itself is looked at; plain values cost nothing more.

    Raises SecretMet (see `met_secret`), and TypeError for what has no form.
    """

    def __init__(self, is_marked: IsMarked) -> None:
        self._is_marked = is_marked

    def __call__(self, value: Any) -> Any:
        kind = type(value)
        if issubclass(kind, _SECRETS) or self._is_marked(kind):
            raise SecretMet
        if issubclass(kind, pydantic.BaseModel):
            if self._is_within(_parts_of(value)):
                raise SecretMet  # pydantic writes a model whole
        elif is_dataclass(kind):
            return _attributes(value)
        return _form(value, _not_in_clear)

    def _is_within(self, values: Iterable[Any]) -> bool:
        for value in values:
            kind = type(value)
            if kind in _PLAIN:
                continue
            if issubclass(kind, _SECRETS) or self._is_marked(kind):
                return True
            if self._is_within(_parts_of(value)):
                return True
        return False


def met_secret(error: TypeError) -> bool:
    """Whether orjson ended with this error because of a secret."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, SecretMet):
        cause = cause.__cause__
    return cause is not None


def _form(value: Any, unhidden: Callable[[Any, Any], Any]) -> Any:
    if isinstance(value, _SECRETS):
        return value.get_secret_value()
    if isinstance(value, _LISTS):
        return list(value)
    try:
        written = to_jsonable_python(value)
        if isinstance(value, pydantic.BaseModel):
            plain = value.model_dump(warnings=False)
            return unhidden(written, plain) if _holds_secret(plain) else written
    except ValueError as error:
        raise TypeError(f"{type(value).__name__} is unknown") from error
    return written


def _not_in_clear(written: Any, plain: Any) -> Any:
    raise SecretMet


def _parts_of(value: Any) -> Iterable[Any]:
    if isinstance(value, pydantic.BaseModel):
        extra = value.__pydantic_extra__
        return [*value.__dict__.values(), *extra.values()] if extra else value.__dict__.values()
    if is_dataclass(value) and not isinstance(value, type):
        return [getattr(value, field.name, None) for field in fields(value)]
    return _within(value)


def _attributes(value: Any) -> dict[str, Any]:
    """What orjson itself would write of a data class."""
    known = getattr(value, "__dict__", None)
    if known is None:
        known = {field.name: getattr(value, field.name) for field in fields(value)}
    return {name: part for name, part in known.items() if not name.startswith("_")}


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
