"""An actor's signature as a contract: checked at send and again at receive, and the API's JSON schema."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Literal, NotRequired, Required, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from jobs.errors import InvalidPayload

# Made at run time, which is nothing a type checker can follow.
_typed_dict: Callable[[str, dict[str, Any]], Any] = TypedDict  # type: ignore[assignment]

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


class Contract:
    """What one actor accepts. Raises TypeError when a type hint cannot be checked or written as JSON."""

    def __init__(self, name: str, function: Callable[..., Any]) -> None:
        self.name = name
        parameters = inspect.signature(function).parameters.values()
        hints = get_type_hints(inspect.unwrap(function), include_extras=True)
        self._positional = [p.name for p in parameters if p.kind in _POSITIONAL]
        self._takes_more = any(p.kind is p.VAR_POSITIONAL for p in parameters)
        fields: dict[str, Any] = {}
        for parameter in parameters:
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                hint = hints.get(parameter.name, Any)
                required = parameter.default is parameter.empty
                fields[parameter.name] = Required[hint] if required else NotRequired[hint]
        shape: Any = _typed_dict(name, fields)
        extra: Literal["allow", "forbid"] = (
            "allow" if any(p.kind is p.VAR_KEYWORD for p in parameters) else "forbid"
        )
        shape.__pydantic_config__ = ConfigDict(extra=extra)
        self._adapter: TypeAdapter[dict[str, Any]] = TypeAdapter(shape)

    def check(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with the types of the hints. Raises InvalidPayload naming each field at fault."""
        named, more = self._name(args, kwargs)
        try:
            values = self._adapter.validate_python(named)
        except ValidationError as error:
            raise InvalidPayload(f"{self.name} cannot take these arguments: {_in_words(error)}.") from None
        placed = tuple(values.pop(name) for name in self._positional[: len(args)])
        return placed + more, values

    def schema(self) -> dict[str, Any]:
        """The JSON schema of the arguments by name."""
        return self._adapter.json_schema() | {"title": self.name}

    def parameters(self) -> list[str]:
        """Names that arguments may be given by."""
        return list(self.schema().get("properties", {}))

    def _name(
        self, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> tuple[dict[str, Any], tuple[Any, ...]]:
        if not args:
            return dict(kwargs), ()
        if len(args) > len(self._positional) and not self._takes_more:
            raise InvalidPayload(
                f"{self.name} takes {len(self._positional)} arguments by position; {len(args)} were given."
            )
        named = dict(zip(self._positional, args, strict=False))
        twice = named.keys() & kwargs.keys()
        if twice:
            raise InvalidPayload(f"{self.name} was given {', '.join(sorted(twice))} twice.")
        return named | dict(kwargs), args[len(self._positional) :]


def _in_words(error: ValidationError) -> str:
    # Only place and reason: pydantic's own text would quote the value.
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {_lower(fault['msg'])}" for fault in faults[:5])


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
