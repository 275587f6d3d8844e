"""Gives the stored outcome of a step the type that its function says it returns."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticSchemaGenerationError, PydanticUndefinedAnnotation

from jobs.errors import StepError

#: Takes what the step is called in an error and the JSON form of its outcome.
Converter = Callable[[str, Any], Any]


def converter_of(fn: Callable[..., Any]) -> Converter:
    """Makes JSON the type of `fn`'s return annotation. What has none, or one that JSON cannot be turned into,
    stays as it is."""
    while isinstance(fn, partial):
        fn = fn.func
    if "return" not in getattr(fn, "__annotations__", {}):
        return _as_it_is
    try:
        return _to(get_type_hints(fn, include_extras=True)["return"])
    except (TypeError, NameError):  # it names what is not there at run time, or cannot be a key
        return _as_it_is


@lru_cache(maxsize=1024)
def _to(hint: Any) -> Converter:
    if hint is Any or hint is object:
        return _as_it_is
    try:
        adapter = TypeAdapter[Any](hint)
    except (PydanticSchemaGenerationError, PydanticUndefinedAnnotation):
        return _as_it_is

    def convert(named: str, value: Any) -> Any:
        try:
            return adapter.validate_python(value)
        except ValidationError as error:
            # Its own words would quote the outcome.
            kinds = ", ".join(sorted({problem["type"] for problem in error.errors()}))
            raise StepError(
                f"The outcome of {named} is not what its function says it returns ({kinds})."
            ) from None

    return convert


def _as_it_is(named: str, value: Any) -> Any:
    return value
