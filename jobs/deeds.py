"""What is told of an operator's act while it is done."""

from dataclasses import dataclass


@dataclass(slots=True)
class Deed:
    """To how many things it was done, and a few words."""

    count: int | None = None
    result: str | None = None
