"""The schema of a model of pydantic, as strict mode takes it."""

from __future__ import annotations

import json
from typing import Any, Dict, Mapping, Optional, Tuple

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


def _strict(schema: Any, root: Any, within: Tuple[str, ...] = ()) -> Any:
    """The same schema, whose objects have all of their fields and no others, and no defaults, as openai-python makes it.

    What strict mode cannot say in any way stays, and is refused by the command with its place. ``within`` are the
    references in whose place this stands.
    """
    if isinstance(schema, list):
        return [_strict(one, root, within) for one in schema]
    if not isinstance(schema, dict):
        return schema
    schema, within = _whole(schema, root, within)
    made: Dict[str, Any] = {}
    for name, one in schema.items():
        if name in ("properties", "$defs"):
            # The names within are not those of JSON Schema.
            around = () if name == "$defs" else within
            made[name] = {field: _strict(inner, root, around) for field, inner in one.items()}
        elif name in ("enum", "const", "examples"):
            made[name] = one
        elif name != "default":
            made[name] = _strict(one, root, within)
    if made.get("type") == "object" and "properties" in made:
        made.setdefault("additionalProperties", False)
        made["required"] = list(made["properties"])
    return made


def _whole(schema: Dict[str, Any], root: Any, within: Tuple[str, ...]) -> Tuple[Dict[str, Any], Tuple[str, ...]]:
    """The same, with what it refers to in its own place if it says more beside that: strict mode takes nothing there.

    What refers to itself stays a reference within itself, alone.
    """
    beside = {name: one for name, one in schema.items() if name != "default"}
    several = beside.get("allOf")
    if isinstance(several, list) and len(several) == 1:
        del beside["allOf"]
        beside = {**several[0], **beside}
    reference = beside.get("$ref")
    if reference is None:
        return beside, within
    if len(beside) == 1 or reference in within:
        return {"$ref": reference}, within
    del beside["$ref"]
    at = root
    for part in str(reference).partition("#/")[2].split("/"):
        at = at[part]
    return {**at, **beside}, (*within, reference)
