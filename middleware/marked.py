"""Finds the marks of `jobs.marks` in a type hint, at any depth."""

from dataclasses import is_dataclass
from functools import lru_cache
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pydantic
from typing_extensions import is_typeddict

from jobs.marks import Mark

#: Pydantic's own, which hide what they hold.
_SECRETS = (pydantic.SecretStr, pydantic.SecretBytes, pydantic.Secret)
#: What stands for other hints: `type X = …`, a NewType, a type variable.
_STANDING_FOR = ("__value__", "__supertype__", "__bound__", "__default__")


def is_marked(hint: Any) -> bool:
    """Whether a value of this type is, or may hold, what is marked Secret or PII."""
    return _marked(hint, set())


@lru_cache(maxsize=4_096)
def is_marked_class(kind: type) -> bool:
    """The same of a class; asked for each object that is sent where nobody said what it is."""
    return is_marked(kind)


def _marked(hint: Any, seen: set[Any]) -> bool:
    """`seen` are the classes and aliases that were looked into: one may hold itself."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Annotated:
        base, *metadata = parts
        return _has_mark(metadata) or _marked(base, seen)
    if parts:
        return any(_marked(part, seen) for part in (origin, *parts))
    if isinstance(hint, list | tuple):  # the parameters of a Callable
        return any(_marked(part, seen) for part in hint)
    within = [] if isinstance(hint, type) else _stands_for(hint)
    if not (isinstance(hint, type) or within) or hint in seen:
        return False
    seen.add(hint)
    return any(_marked(part, seen) for part in within) if within else _class_is_marked(hint, seen)


def _stands_for(hint: Any) -> list[Any]:
    found = [getattr(hint, name, None) for name in _STANDING_FOR]
    return [part for part in found if part is not None] + list(getattr(hint, "__constraints__", ()))


def _class_is_marked(kind: type, seen: set[Any]) -> bool:
    if issubclass(kind, _SECRETS):
        return True
    if issubclass(kind, pydantic.BaseModel):
        fields = kind.model_fields.values()
        return any(_has_mark(field.metadata) or _marked(field.annotation, seen) for field in fields)
    if is_typeddict(kind) or is_dataclass(kind) or hasattr(kind, "_fields"):
        try:
            hints = get_type_hints(kind, include_extras=True)
        except NameError:
            return True  # what cannot be looked into may be anything
        return any(_marked(hint, seen) for hint in hints.values())
    return False


def _has_mark(metadata: list[Any]) -> bool:
    return any(isinstance(one, Mark) for one in metadata)
