"""Objects as GitHub's description of its API shapes them: every required field, of the required type, and what a test sets."""

from __future__ import annotations

_TEXT = {"uri": "https://example.org/x", "date-time": "2026-01-01T00:00:00Z", "email": "x@example.org"}


class Shapes:
    def __init__(self, description) -> None:
        self._schemas = description["components"]["schemas"]

    def make(self, name, /, **values):
        """An object of the schema `name`. A value is kept as it is."""
        return self._of({"$ref": f"#/components/schemas/{name}"}) | values

    def _of(self, schema):
        if "$ref" in schema:
            return self._of(self._schemas[schema["$ref"].rpartition("/")[2]])
        for together in ("allOf", "anyOf", "oneOf"):
            if together in schema and schema.get("type") is None:
                parts = [self._of(part) for part in (schema[together] if together == "allOf" else schema[together][:1])]
                return parts[0] if len(parts) == 1 else {key: value for part in parts for key, value in part.items()}
        if schema.get("nullable"):
            return None
        if "enum" in schema:
            return schema["enum"][0]
        kind = schema.get("type", "object")
        if kind == "object":
            return {key: self._of(schema["properties"][key]) for key in schema.get("required", ())}
        if kind == "array":
            return []
        return {"integer": 1, "number": 1, "boolean": False, "string": _TEXT.get(schema.get("format", ""), "text")}[kind]
