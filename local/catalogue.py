"""Writes what the dashboard must know of `shared`: `python -m local.catalogue`; a test keeps it current.

`web/src/generated/meta-errors.json` holds the sentence for each of Meta's error codes, so that a message that
failed later, by a webhook, shows the same words as one that was refused at once.
`web/src/generated/api.ts` holds the types of what the functions take and answer, from docs/openapi.json.
"""

from __future__ import annotations

import json
import re
from typing import Any

from local.programs import ROOT
from shared.meta_errors import TABLE, UNKNOWN_REFUSED

META_ERRORS = ROOT / "web" / "src" / "generated" / "meta-errors.json"
API = ROOT / "web" / "src" / "generated" / "api.ts"
OPENAPI = ROOT / "docs" / "openapi.json"
# What the dashboard uses; what these refer to comes along.
USED = (
    "ConnectionAnswer",
    "CredentialsBody",
    "DiagnosticsAnswer",
    "DisconnectBody",
    "ExchangeBody",
    "MessageView",
    "ReadBody",
    "RequestCodeBody",
    "RetryBody",
    "StartAnswer",
    "StartBody",
    "TemplatesAnswer",
    "VerificationAnswer",
    "VerifyCodeBody",
)
REFERENCE = "#/components/schemas/"
PRIMITIVES = {
    "string": "string",
    "integer": "number",
    "number": "number",
    "boolean": "boolean",
    "null": "null",
}


def meta_errors() -> str:
    """Return the sentences by code, or by code and subcode, as JSON."""
    sentences = {
        str(code) if subcode is None else f"{code}/{subcode}": {"en": row.en, "es": row.es}
        for (code, subcode), row in sorted(TABLE.items(), key=lambda item: (item[0][0], item[0][1] or 0))
    }
    sentences["unknown"] = {"en": UNKNOWN_REFUSED.en, "es": UNKNOWN_REFUSED.es}
    return json.dumps(sentences, ensure_ascii=False, indent=2) + "\n"


def api() -> str:
    """Return the API's schemas as TypeScript."""
    schemas: dict[str, Any] = json.loads(OPENAPI.read_text("utf-8"))["components"]["schemas"]
    wanted, written = list(USED), dict[str, str]()
    while wanted:
        name = wanted.pop()
        if name not in written:
            written[name] = _interface(name, schemas[name])
            wanted += re.findall(rf'"{REFERENCE}(\w+)"', json.dumps(schemas[name]))
    head = "// Written by `python -m local.catalogue` from docs/openapi.json; not by hand."
    return "\n\n".join([head, *(written[name] for name in sorted(written))]) + "\n"


def _interface(name: str, schema: dict[str, Any]) -> str:
    required = set(schema.get("required", ()))
    lines = []
    for field, of in schema.get("properties", {}).items():
        # An answer holds every field, its default included; of a body one may leave out what has one.
        mark = "?" if name.endswith("Body") and field not in required else ""
        lines.append(f"  readonly {field}{mark}: {_type(of)};")
    return "\n".join([f"export interface {name} {{", *lines, "}"])


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix(REFERENCE)
    if "enum" in schema:
        return " | ".join(json.dumps(each) for each in schema["enum"])
    if "anyOf" in schema or "oneOf" in schema:
        return " | ".join(_type(each) for each in schema.get("anyOf") or schema["oneOf"])
    kind = schema.get("type")
    if kind == "array":
        return f"readonly ({_type(schema.get('items', {}))})[]"
    if kind == "object":
        return "Readonly<Record<string, unknown>>"
    return PRIMITIVES.get(str(kind), "unknown")


def main() -> None:
    """Write the files."""
    META_ERRORS.parent.mkdir(exist_ok=True)
    META_ERRORS.write_text(meta_errors(), "utf-8")
    API.write_text(api(), "utf-8")


if __name__ == "__main__":
    main()
