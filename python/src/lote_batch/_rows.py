"""Rows of a table as lines of JSON, for a command that is told what to ask of each."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import os
import uuid
from typing import Any, Iterator, Mapping

from ._json import encode, is_nothing, plain
from .errors import RequestError, UsageError

#: The options that say what is asked of each row.
ASKS = ("user", "embed", "template")


def are_meant(options: Mapping[str, object]) -> bool:
    """Whether what is given are rows, and not requests."""
    return any(options.get(name) is not None for name in ASKS)


def of_frame(frame: Any, library: str) -> Iterator[object]:
    """The rows of a DataFrame, with all of its columns."""
    if type(frame).__name__ != "DataFrame":
        raise UsageError(f"requests is a {type(frame).__name__} of {library}: give a DataFrame")
    names = [str(name) for name in frame.columns]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UsageError(f"the DataFrame has the column {twice} twice: rename one of them")
    rows = frame.iter_rows() if library == "polars" else frame.itertuples(index=False, name=None)
    return (dict(zip(names, row)) for row in rows)


def lines(rows: Iterator[object]) -> Iterator[bytes]:
    """Each row as a line, made when it is asked for."""
    return (_line(number, row) for number, row in enumerate(rows, 1))


def _line(number: int, item: object) -> bytes:
    row: Any = plain(item)
    if hasattr(row, "_asdict"):
        row = row._asdict()
    elif dataclasses.is_dataclass(row) and not isinstance(row, type):
        row = dataclasses.asdict(row)
    if not isinstance(row, dict):
        kind = type(item).__name__
        raise RequestError(f"row {number}: it is a {kind}; a row is a dictionary of its columns; nothing was sent")
    try:
        return encode(_value(row), f"row {number}")
    except RecursionError:
        raise RequestError(f"row {number}: it is nested too deeply, or holds itself; nothing was sent") from None


def _value(value: object) -> object:
    """A value as JSON has it: nothing as null, times and exact numbers as people write them."""
    if value is None or isinstance(value, (str, bool, int)):
        return value.value if isinstance(value, enum.Enum) else value
    if is_nothing(value):
        return None
    if isinstance(value, dict):
        return {name: _value(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_value(one) for one in value]
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (decimal.Decimal, datetime.timedelta, uuid.UUID)):
        return str(value)
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, enum.Enum):
        return _value(value.value)
    if type(value).__name__ == "datetime64":
        # Of numpy, whose NaT equals nothing, not even itself.
        return str(value) if value == value else None
    known = plain(value)
    return value if known is value else _value(known)
