"""Values of Python as JSON, and where the fault is when they are none."""

from __future__ import annotations

import json
import math
from typing import Any, Mapping, Optional

from .errors import RequestError

#: How much of a text is shown in a message, in characters.
SHOWN = 64


def plain(value: object) -> object:
    """Models and mappings as dictionaries; numbers of numpy as those of Python; all else as it is."""
    if isinstance(value, dict):
        return value
    if hasattr(value, "model_dump") and not isinstance(value, type):
        # Of pydantic. What was not set is left out: a null is another request, which some services refuse.
        return value.model_dump(mode="json", by_alias=True, exclude_none=True)
    if isinstance(value, Mapping):
        return dict(value)
    if type(value).__module__.partition(".")[0] == "numpy":
        array: Any = value
        # A time would become a number of nanoseconds, or of whatever its unit is.
        return value if array.dtype.kind in "mM" else array.tolist()
    return value


def is_nothing(value: object) -> bool:
    """Whether it is what a cell has that nothing was put into: None, NaN, NaT, or the NA of pandas."""
    return value is None or type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value)


def absent(value: object) -> object:
    """The same without nulls in dictionaries."""
    if isinstance(value, dict):
        return {name: absent(one) for name, one in value.items() if one is not None}
    if isinstance(value, list):
        return [absent(one) for one in value]
    return value


def quoted(text: str) -> str:
    """A text that others have made, for a message: whatever is no plain letter in it is escaped, and its end is cut."""
    shown = text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"
    escaped = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in shown)
    return '"' + "".join(escaped) + '"'


def encode(value: object, where: str) -> bytes:
    """One line of JSON, with its end."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_default)
        return text.encode() + b"\n"
    except (TypeError, ValueError, RecursionError) as error:
        why = _fault(value, "", 0) or str(error)
        raise RequestError(f"{where}: {why}; nothing was sent") from None


def _default(value: object) -> object:
    known = plain(value)
    if known is value:
        raise TypeError(f"a {type(value).__name__} is no JSON")
    return known


def _fault(value: object, path: str, depth: int) -> Optional[str]:
    """The first part that JSON cannot say, by its path."""
    value = plain(value)
    place = path.lstrip(".") or "it"
    if depth > 200:
        return f"{place[:80]}… is nested too deeply, or holds itself"
    if isinstance(value, float) and not math.isfinite(value):
        return f"{place} is {value!r}, which is no JSON: leave it out, or give a number"
    if isinstance(value, str):
        return _fault_of_text(value, place)
    if isinstance(value, dict):
        for name, one in value.items():
            if not isinstance(name, (str, int, float, bool, type(None))):
                return f"{place} has a name that is a {type(name).__name__}: names are texts"
            fault = (_fault_of_text(name, f"a name in {place}") if isinstance(name, str) else None) or _fault(
                one, f"{path}.{name}", depth + 1
            )
            if fault:
                return fault
        return None
    if isinstance(value, (list, tuple)):
        faults = (_fault(one, f"{path}[{at}]", depth + 1) for at, one in enumerate(value))
        return next((fault for fault in faults if fault), None)
    if value is None or isinstance(value, (bool, int, float)):
        return None
    return f"{place} is a {type(value).__name__}, which is no JSON: give a text, a number, a list or a dictionary"


def _fault_of_text(text: str, place: str) -> Optional[str]:
    try:
        text.encode()
    except UnicodeEncodeError:
        return f"{place} holds half of a surrogate pair, which is no text"
    return None
