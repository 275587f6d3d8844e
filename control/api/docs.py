"""The OpenAPI document as one page of plain HTML: no script, nothing fetched from elsewhere."""

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       color: #1b1f24; background: #fff; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid #d0d7de; }
code, pre { font: 14px/1.45 ui-monospace, monospace; background: #f6f8fa; border-radius: 4px; }
code { padding: .1em .3em; } pre { padding: .8rem; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; vertical-align: top;
        padding: .3rem .6rem .3rem 0; border-bottom: 1px solid #eaeef2; }
.method { font-weight: 700; } summary { cursor: pointer; }
@media (prefers-color-scheme: dark) {
  body { color: #e6edf3; background: #0d1117; } code, pre { background: #161b22; }
  h2, td, th { border-color: #30363d; } a { color: #58a6ff; }
}
"""


def page(document: Mapping[str, Any]) -> str:
    """The whole page. Everything from the document is escaped."""
    info = document["info"]
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(info['title'])} API</title><style>{STYLE}</style></head><body>",
        f"<h1>{escape(info['title'])} API</h1><p>{_prose(info.get('description', ''))}</p>",
        '<p>For programs: <a href="/openapi.json">openapi.json</a></p>',
        *_operations(document),
        *_schemas(document["components"]["schemas"]),
        "</body></html>",
    ]
    return "\n".join(parts)


def _operations(document: Mapping[str, Any]) -> Iterator[str]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f'<h2><span class="method">{method.upper()}</span> <code>{escape(path)}</code></h2>'
            yield f"<p><strong>{escape(operation.get('summary', ''))}.</strong> "
            yield f"{_prose(operation.get('description', ''))}</p>"
            yield from _request(operation)
            yield "<table><tr><th>Status</th><th>Meaning</th><th>Body</th></tr>"
            for status, response in operation["responses"].items():
                yield f"<tr><td>{escape(status)}</td><td>{_prose(response.get('description', ''))}</td>"
                yield f"<td>{_type(_json_schema(response))}</td></tr>"
            yield "</table>"


def _request(operation: Mapping[str, Any]) -> Iterator[str]:
    body = operation.get("requestBody")
    if not body:
        return
    yield f"<p>Body: {_type(_json_schema(body))}</p>"
    for name, example in body["content"]["application/json"].get("examples", {}).items():
        text = escape(json.dumps(example["value"], indent=2))
        yield f"<details><summary><code>{escape(name)}</code> {escape(example['summary'])}</summary>"
        yield f"<pre>{text}</pre></details>"


def _schemas(schemas: Mapping[str, Any]) -> Iterator[str]:
    for name, schema in sorted(schemas.items()):
        yield f'<h2 id="{escape(name)}">{escape(name)}</h2><p>{_prose(schema.get("description", ""))}</p>'
        required = schema.get("required", [])
        yield "<table>"
        for field, part in schema.get("properties", {}).items():
            star = " (required)" if field in required else ""
            yield f"<tr><td><code>{escape(field)}</code>{star}</td><td>{_type(part)}</td>"
            yield f"<td>{_prose(part.get('description', ''))}</td></tr>"
        yield "</table>"


def _json_schema(holder: Mapping[str, Any]) -> Mapping[str, Any]:
    schema: Mapping[str, Any] = holder.get("content", {}).get("application/json", {}).get("schema", {})
    return schema


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_type(part) for part in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    form = f" ({escape(schema['format'])})" if "format" in schema else ""
    return escape(str(schema.get("type", "anything" if schema else ""))) + form


def _prose(text: str) -> str:
    """Escaped text in which `words` between backquotes are code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if odd % 2 else part for odd, part in enumerate(parts))
