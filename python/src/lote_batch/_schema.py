"""The schema of a model of pydantic, as strict mode takes it."""

from __future__ import annotations

import json
from typing import Any, Dict, Mapping, Optional

from .errors import UsageError


def text(value: object) -> Optional[str]:
    """A schema as JSON; none of what is a text already."""
    if isinstance(value, type) and hasattr(value, "model_json_schema"):
        schema = value.model_json_schema()
        value = _strict(schema, schema)
    if not isinstance(value, Mapping):
        return None
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UsageError(f"schema= is not JSON: {error}") from None


def _strict(schema: Any, root: Any) -> Any:
    """The same schema, whose objects have all of their fields and no others, and no defaults, as openai-python makes it.

    What strict mode cannot say in any way stays, and is refused by the command with its place.
    """
    if isinstance(schema, list):
        return [_strict(one, root) for one in schema]
    if not isinstance(schema, dict):
        return schema
    schema = _whole(schema, root)
    made: Dict[str, Any] = {}
    for name, one in schema.items():
        if name in ("properties", "$defs"):
            # The names within are not those of JSON Schema.
            made[name] = {field: _strict(inner, root) for field, inner in one.items()}
        elif name in ("enum", "const", "examples"):
            made[name] = one
        elif name != "default":
            made[name] = _strict(one, root)
    if made.get("type") == "object" and "properties" in made:
        made.setdefault("additionalProperties", False)
        made["required"] = list(made["properties"])
    return made


def _whole(schema: Dict[str, Any], root: Any) -> Dict[str, Any]:
    """The same, with what it refers to in its own place if it says more beside that: strict mode takes nothing there."""
    beside = {name: one for name, one in schema.items() if name != "default"}
    if list(beside) == ["$ref"]:
        return beside
    reference, several = beside.pop("$ref", None), beside.get("allOf")
    if reference is not None:
        at = root
        for part in str(reference).partition("#/")[2].split("/"):
            at = at[part]
        return {**at, **beside}
    if isinstance(several, list) and len(several) == 1:
        del beside["allOf"]
        return _whole({**several[0], **beside}, root)
    return schema
