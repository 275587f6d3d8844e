"""A gate that is named by a job's arguments: `@actor(gate="gmail:{account_id}")`.

Its jobs rest, and are capped, apart from the tenant's others; where `gmail` is a limit by resource, they
wait for it in their gate, and nobody else does.
"""

import inspect
import string
from collections.abc import Mapping
from typing import Any

import dramatiq

from jobs.errors import InvalidPayload
from jobs.failures import worded_without_values
from jobs.ids import check_gate
from middleware.contract import contract_of


class GateTemplate:
    """Raises InvalidPayload when it names what is no parameter, or one that is Secret or PII."""

    def __init__(self, actor: "dramatiq.Actor[..., Any]", template: str) -> None:
        self._actor, self._template = actor.actor_name, template
        signature = inspect.signature(actor.fn)
        self._names = [
            name
            for name, parameter in signature.parameters.items()
            if parameter.kind <= parameter.POSITIONAL_OR_KEYWORD
        ]
        self._defaults = {
            name: parameter.default
            for name, parameter in signature.parameters.items()
            if parameter.default is not parameter.empty
        }
        try:
            parts = list(string.Formatter().parse(template))
        except ValueError:
            raise InvalidPayload(
                f"{self._actor}: the gate {template!r} has a brace without its other one."
            ) from None
        fields = [name for _, name, _, _ in parts if name is not None]
        if any(how for _, name, spec, conversion in parts if name is not None for how in (spec, conversion)):
            raise InvalidPayload(
                f"{self._actor}: the gate {template!r} may hold names of parameters, and no format."
            )
        for name in fields:
            if name not in signature.parameters:
                known = ", ".join(signature.parameters) or "none"
                raise InvalidPayload(
                    f"{self._actor}: the gate names {name!r}, but its parameters are {known}."
                )
            if name in contract_of(self._actor, actor.fn).private:
                raise InvalidPayload(
                    f"{self._actor}: the gate would show {name}, which is marked Secret or PII."
                )

    def of(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
        """The gate of a job with these arguments. Raises InvalidPayload."""
        values = self._defaults | dict(zip(self._names, args, strict=False)) | dict(kwargs)
        try:
            return check_gate(self._template.format_map(values))
        except (KeyError, InvalidPayload):
            raise worded_without_values(
                InvalidPayload(f"{self._actor}: its gate {self._template} needs short, printable arguments.")
            ) from None


def template_of(actor: "dramatiq.Actor[..., Any]") -> GateTemplate | None:
    """That of an actor whose gate names parameters."""
    gate = actor.options.get("gate")
    return GateTemplate(actor, gate) if isinstance(gate, str) and "{" in gate else None
