"""Request examples: each is in the OpenAPI document and on the page of /docs."""

from typing import Any

from fastapi import Body


def shown(summary: str, value: dict[str, Any]) -> Any:
    """The body of a request, with one example."""
    return Body(openapi_examples={"example": {"summary": summary, "value": value}})
