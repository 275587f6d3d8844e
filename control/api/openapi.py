"""The OpenAPI document: the routes, and each actor's arguments as a schema with an example."""

from typing import TYPE_CHECKING, Any

from fastapi import FastAPI

from control.service.names import declared_queues

if TYPE_CHECKING:
    from actors.composition import App


REFERENCE = "#/components/schemas/"
SAMPLES = {"string": "text", "integer": 1, "number": 1.0, "boolean": True, "array": [], "object": {}}


def describe(api: FastAPI, app: "App") -> dict[str, Any]:
    """FastAPI's document with, for each actor, a component `NAME.arguments` and a request example."""
    api.openapi_url = "/openapi.json"
    document = api.openapi()
    schemas = document["components"]["schemas"]
    _drop_foreign_errors(document)
    examples: dict[str, Any] = {}
    arguments: list[str] = []
    for actor in sorted(app.broker.actors.values(), key=lambda actor: actor.actor_name):
        schema, component = app.schema(actor.actor_name), f"{actor.actor_name}.arguments"
        definitions = schema.get("$defs", {})
        for name, definition in definitions.items():
            schemas[f"{component}.{name}"] = _rebased(definition, component)
        schemas[component] = _rebased({k: v for k, v in schema.items() if k != "$defs"}, component)
        arguments.append(component)
        data = {
            name: _sample(part)
            for name, part in schema.get("properties", {}).items()
            if name in schema.get("required", [])
        }
        summary = (actor.fn.__doc__ or actor.actor_name).strip().splitlines()[0]
        examples[actor.actor_name] = {
            "summary": summary,
            "value": {"queue": actor.queue_name, "data": data, "options": {"priority": 5}},
        }
    content = document["paths"]["/api/v1/jobs"]["post"]["requestBody"]["content"]["application/json"]
    if examples:
        content["examples"] = examples
    schemas["NewJobRequest"]["properties"]["data"]["description"] = (
        "the actor's arguments by name: " + ", ".join(f"`{name}`" for name in arguments)
    )
    document["info"]["x-queues"] = declared_queues(app)
    return document


def _drop_foreign_errors(document: dict[str, Any]) -> None:
    """Take out FastAPI's own shape of validation errors, which is never sent."""
    for path in document["paths"].values():
        for operation in path.values():
            if "HTTPValidationError" in str(operation["responses"].get("422")):
                del operation["responses"]["422"]
    for unused in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(unused, None)


def _rebased(node: Any, component: str) -> Any:
    """A schema whose `$defs` references point into the document's components."""
    if isinstance(node, dict):
        return {
            key: f"{REFERENCE}{component}.{value.rpartition('/')[2]}"
            if key == "$ref" and isinstance(value, str)
            else _rebased(value, component)
            for key, value in node.items()
        }
    return [_rebased(part, component) for part in node] if isinstance(node, list) else node


def _sample(schema: dict[str, Any]) -> Any:
    """A value that shows the kind of an argument."""
    for given in ("default", "const"):
        if given in schema:
            return schema[given]
    for listed in ("examples", "enum"):
        if schema.get(listed):
            return schema[listed][0]
    if schema.get("anyOf"):
        return _sample(schema["anyOf"][0])
    return SAMPLES.get(schema.get("type", "string"))
