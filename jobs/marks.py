"""Marks on an actor's parameters: values that nothing may quote, and that are sealed when they are stored.

    def charge(card: Annotated[str, Secret], mail: Annotated[str, PII]) -> None: ...

They may stand deeper too: within a list, on a field of a model, a data class or a typed dictionary.
Pydantic's SecretStr counts as Secret without a mark.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mark:
    """What a value is. `kind` is for people."""

    kind: str

    def __repr__(self) -> str:
        return self.kind


#: A password, a token, a key: what opens something.
Secret = Mark("Secret")
#: Personally identifiable information: what tells who somebody is.
PII = Mark("PII")
