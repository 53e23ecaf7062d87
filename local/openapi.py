"""The OpenAPI document, made from the functions' own tables and models.

`make openapi` writes docs/openapi.json. `document()` is what the local stack serves; `page()` is
the same to be read by a person, with nothing from elsewhere.
"""

from __future__ import annotations

import html
import importlib
import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema

from local.programs import ROOT
from shared.errors import AppError, walk
from shared.openapi import Answer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from pydantic import BaseModel

    from shared.openapi import Operation, Operations, Refusals

PATH = ROOT / "docs" / "openapi.json"
SECURITY: Mapping[str, list[dict[str, list[str]]]] = {
    "member": [{"user": []}],
    "owner": [{"user": []}],
    "scheduler": [{"scheduler": []}],
    "monitor": [{"monitor": []}],
    "meta": [],
    "browser": [],
}
RETRY_AFTER = {"schema": {"type": "integer", "minimum": 1}, "description": "Seconds."}


def find_tables() -> dict[str, tuple[str, Operations]]:
    """Return each function's path name and operations, by the name of its folder."""
    modules = {
        path.parent.name: importlib.import_module(f"functions.{path.parent.name}.openapi")
        for path in sorted((ROOT / "functions").glob("*/openapi.py"))
    }
    return {folder: (module.NAME, module.OPERATIONS) for folder, module in modules.items()}


@cache
def document() -> dict[str, Any]:
    """Make the whole document."""
    schemas = _Schemas()
    paths: dict[str, Any] = {}
    tags = []
    for folder, (name, operations) in find_tables().items():
        story = str(importlib.import_module(f"functions.{folder}.handler").__doc__)
        tags.append({"name": name, "description": story.partition("\n")[0]})
        for (method, path), operation in operations.items():
            full = f"/{name}{path}".removesuffix("/")
            paths.setdefault(full, {})[method.lower()] = _describe(name, method, path, operation, schemas)
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "whatsapp-functions",
            "version": _version(),
            "description": "Connects organizations' own WhatsApp Business numbers, and carries their chats.",
        },
        "servers": [
            {
                "url": "{functions_url}",
                "description": "FUNCTIONS_URL",
                "variables": {"functions_url": {"default": "/functions/v1"}},
            }
        ],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": {**schemas.definitions, "Error": _error_schema()},
            "securitySchemes": {
                "user": {"type": "http", "scheme": "bearer", "description": "The user's Supabase token."},
                "scheduler": {"type": "http", "scheme": "bearer", "description": "CRON_SECRET."},
                "monitor": {"type": "http", "scheme": "bearer", "description": "METRICS_TOKEN."},
            },
        },
    }


def to_text(content: Mapping[str, Any]) -> str:
    """Write the document as the file has it."""
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


class _Schemas:
    """The models, each once under its own name."""

    def __init__(self) -> None:
        self.definitions: dict[str, Any] = {}

    def add(self, model: Any, mode: str) -> dict[str, Any]:
        """Return a reference to a model; its parts become definitions too."""
        schema = TypeAdapter(model).json_schema(
            mode="validation" if mode == "takes" else "serialization",
            ref_template="#/components/schemas/{model}",
            schema_generator=GenerateJsonSchema,
        )
        parts = schema.pop("$defs", {})
        name = getattr(model, "__name__", "")
        if schema.get("properties") is not None and name:
            parts[name] = schema
            schema = {"$ref": f"#/components/schemas/{name}"}
        for part, content in parts.items():
            self.definitions.setdefault(part, _without_titles(content))
        return schema


def _describe(name: str, method: str, path: str, operation: Operation, schemas: _Schemas) -> dict[str, Any]:
    words = [method.lower(), *re.findall(r"[a-z]+", f"{name.removeprefix('whatsapp-')} {path}")]
    described: dict[str, Any] = {
        "operationId": "_".join(words),
        "summary": operation.summary,
        "tags": [name],
        "security": SECURITY[operation.caller],
        "parameters": [
            *_path_parameters(path),
            *_parameters(operation.query, "query"),
            *_parameters(operation.headers, "header"),
        ],
    }
    if operation.takes is not None:
        taken = schemas.add(operation.takes, "takes")
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": taken}}}
    described["responses"] = {
        **{str(status): _answer(model, schemas) for status, model in operation.answers.items()},
        **_refusals(operation.refusals(), operation.answers),
    }
    return described


def _path_parameters(path: str) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}}
        for name in re.findall(r"{(\w+)}", path)
    ]


def _parameters(model: type[BaseModel] | None, place: str) -> list[dict[str, Any]]:
    if model is None:
        return []
    schema = model.model_json_schema()
    needed = schema.get("required", [])
    found = []
    for name, content in schema["properties"].items():
        shown = _without_titles(content)
        described = shown.pop("description", None)
        shown.pop("default", None)
        # A parameter is there or it is not: null is no value of it.
        choices = [each for each in shown.pop("anyOf", []) if each != {"type": "null"}]
        found.append(
            {
                "name": name,
                "in": place,
                "required": name in needed,
                **({"description": described} if described else {}),
                "schema": {**shown, **(choices[0] if choices else {})},
            }
        )
    return found


def _answer(model: Any, schemas: _Schemas) -> dict[str, Any]:
    if isinstance(model, Answer):
        headers = {
            name: {"schema": {"type": "string"}, "description": said} for name, said in model.headers.items()
        }
        content: dict[str, Any] = {model.type: {}} if model.type else {}
        return {"description": model.describes, "content": content, "headers": headers}
    said = (model.__doc__ or "").strip().partition("\n")[0]
    return {"description": said, "content": {"application/json": {"schema": schemas.add(model, "answers")}}}


def _refusals(refusals: Refusals, answers: Mapping[int, Any]) -> dict[str, Any]:
    by_status: dict[int, list[type[AppError]]] = {}
    for refusal in refusals:
        by_status.setdefault(refusal.status, []).append(refusal)
    described = {}
    for status, errors in sorted(by_status.items()):
        if status in answers:
            continue
        codes = sorted({error.code for error in errors})
        described[str(status)] = {
            "description": ", ".join(f"`{code}`" for code in codes),
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}},
            **({"headers": {"Retry-After": RETRY_AFTER}} if status in {429, 503} else {}),
        }
    return described


def _error_schema() -> dict[str, Any]:
    detail = {
        "type": "object",
        "description": "A field and the rule that it breaks; some rules add what could be chosen.",
        "properties": {name: {"type": "string"} for name in ("field", "rule", "message")},
        "required": ["field", "rule"],
    }
    error = {
        "type": "object",
        "properties": {
            "code": {"type": "string", "enum": sorted({error.code for error in walk()})},
            "message": {"type": "string", "description": "For the person at the other end."},
            "retryable": {"type": "boolean"},
            "help": {"type": "string", "description": "The anchor in docs/troubleshooting.md."},
            "details": {"type": "array", "items": detail},
            "retry_after": {"type": "integer", "minimum": 1, "description": "Seconds."},
            "meta": {
                "type": "object",
                "description": "Meta's own codes and fbtrace_id, to quote to its support.",
            },
        },
        "required": ["code", "message", "retryable", "help"],
    }
    return {
        "type": "object",
        "description": "Why the answer is no. A send that Meta refused carries its message too.",
        "properties": {"error": error, "message": {"type": "object"}},
        "required": ["error"],
    }


def _without_titles(schema: Any) -> Any:
    """Leave out the titles that pydantic makes of names: they say nothing more."""
    if isinstance(schema, list):
        return [_without_titles(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: _without_titles(content)
        for name, content in schema.items()
        if not (name == "title" and isinstance(content, str))
    }


def _version() -> str:
    found = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    return found[1] if found else "0"


def page(content: Mapping[str, Any]) -> str:
    """Write the document as one page: no script, nothing from another host."""
    parts = []
    for tag in content["tags"]:
        parts.append(
            f"<h2 id={tag['name']}>{html.escape(tag['name'])}</h2><p>{html.escape(tag['description'])}"
        )
        for path, methods in content["paths"].items():
            for method, operation in methods.items():
                if operation["tags"] == [tag["name"]]:
                    parts.append(_operation_to_html(path, method, operation))
    schemas = "".join(
        f"<details id={name}><summary><code>{name}</code> {html.escape(_first_line(schema))}</summary>"
        f"<pre>{html.escape(json.dumps(schema, indent=2, ensure_ascii=False))}</pre></details>"
        for name, schema in sorted(content["components"]["schemas"].items())
    )
    return PAGE.replace("{{operations}}", "".join(parts)).replace("{{schemas}}", schemas)


def _operation_to_html(path: str, method: str, operation: Mapping[str, Any]) -> str:
    rows = [
        f"<tr><th scope=row>{html.escape(each['in'])}<td><code>{html.escape(each['name'])}</code>"
        f"{'' if each['required'] else ', may be left out'} {html.escape(each.get('description', ''))}"
        for each in operation["parameters"]
    ]
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        rows.append(f"<tr><th scope=row>body<td>{_link(schema)}")
    for status, response in operation["responses"].items():
        schema = response.get("content", {}).get("application/json", {}).get("schema")
        said = html.escape(response["description"])
        rows.append(f"<tr><th scope=row>{status}<td>{_link(schema) if schema else ''} {said}")
    caller = ", ".join(name for choice in operation["security"] for name in choice) or "nobody signed in"
    return (
        f"<section id={operation['operationId']}>"
        f"<h3><b>{method.upper()}</b> <code>{html.escape(path)}</code></h3>"
        f"<p>{html.escape(operation['summary'])} <small>({caller})</small>"
        f"<table>{''.join(rows)}</table></section>"
    )


def _link(schema: Mapping[str, Any]) -> str:
    choices: Iterable[Mapping[str, Any]] = schema.get("anyOf", [schema])
    names = [str(each.get("$ref", "")).rpartition("/")[2] for each in choices]
    return " or ".join(f"<a href=#{name}><code>{name}</code></a>" for name in names if name) or "any object"


def _first_line(schema: Mapping[str, Any]) -> str:
    return str(schema.get("description", "")).partition("\n")[0]


PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>whatsapp-functions: the API</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
  h3 { margin: 2rem 0 0 } h3 b { display: inline-block; min-width: 4.5rem; color: #0a7c42 }
  table { border-collapse: collapse; width: 100% } th { text-align: left; width: 5rem }
  td, th { border-top: 1px solid #ddd; padding: .3rem .5rem .3rem 0; vertical-align: top }
  td { overflow-wrap: anywhere } code, pre { font: 14px/1.5 ui-monospace, monospace }
  pre { background: #f4f4f4; padding: 1rem; overflow: auto }
  summary { cursor: pointer; padding: .2rem 0 }
  @media (prefers-color-scheme: dark) {
    body { background: #18191a; color: #e4e6eb } pre { background: #242526 } a { color: #8ab4f8 }
    h3 b { color: #5fd38d } td, th { border-color: #3a3b3c }
  }
</style>
<h1>whatsapp-functions: the API</h1>
<p>Every path stands behind <code>FUNCTIONS_URL</code>. The same for programs:
<a href="openapi.json"><code>openapi.json</code></a> (OpenAPI 3.1).
{{operations}}
<h2>Schemas</h2>
{{schemas}}
"""


def main(path: Path = PATH) -> None:
    """Write the file."""
    path.write_text(to_text(document()), "utf-8")


if __name__ == "__main__":
    main()
