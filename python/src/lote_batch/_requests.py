"""Requests as lines of JSON: from dictionaries, pydantic models, DataFrames, or files that hold them already."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple, Union

from . import _rows
from ._json import absent, encode, is_nothing, plain, quoted
from .errors import RequestError, UsageError

if TYPE_CHECKING:
    import pandas
    import polars

    #: What ``run`` takes.
    Requests = Union[
        str,
        os.PathLike[str],
        # Dictionaries, models of pydantic, paths; of rows dataclasses and named tuples as well.
        Iterable[Any],
        pandas.DataFrame,
        polars.DataFrame,
    ]

#: The short names of endpoints, as the command has them.
ENDPOINTS = {
    "chat": "/v1/chat/completions",
    "responses": "/v1/responses",
    "embeddings": "/v1/embeddings",
    "images": "/v1/images/generations",
    "completions": "/v1/completions",
    "moderations": "/v1/moderations",
    "image-edits": "/v1/images/edits",
    "videos": "/v1/videos",
}

#: The columns of a DataFrame that are taken; all others are its owner's.
COLUMNS = ("custom_id", "method", "url", "body")


def files(requests: object) -> Optional[List[str]]:
    """The paths, if the requests are in files; a path may be a pattern, such as ``parts/*.jsonl``."""
    if isinstance(requests, (str, os.PathLike)):
        requests = [os.fsdecode(requests)]
    elif isinstance(requests, (list, tuple)) and requests and all(isinstance(one, os.PathLike) for one in requests):
        requests = [os.fsdecode(one) for one in requests]
    else:
        return None
    # The command takes - for stdin.
    return [os.path.join(".", path) if path == "-" else path for path in requests]


def path_of(endpoint: Optional[str]) -> str:
    """What goes into ``url``."""
    if endpoint is None:
        return ENDPOINTS["chat"]
    if isinstance(endpoint, str) and endpoint.startswith("/"):
        return endpoint
    if endpoint not in ENDPOINTS:
        raise UsageError(f"endpoint={endpoint!r}: give one of {', '.join(ENDPOINTS)}, or a path such as /v1/embeddings")
    return ENDPOINTS[endpoint]


def lines(requests: object, endpoint: Optional[str], are_rows: bool = False) -> Iterator[bytes]:
    """Each request, or each row of a table, as a line, made when it is asked for."""
    if are_rows:
        return _rows.lines(_items(requests, _rows.of_frame))
    url = path_of(endpoint)
    return (_line(number, item, url) for number, item in enumerate(_items(requests, _of_frame), 1))


def _items(requests: object, of_frame: Callable[[Any, str], Iterator[object]]) -> Iterator[object]:
    if isinstance(requests, Mapping) or hasattr(requests, "model_dump"):
        raise UsageError("requests is one request: give a list of them")
    if isinstance(requests, (bytes, bytearray, memoryview)):
        raise UsageError("requests is bytes: give a list of dictionaries, or the path of a file")
    library = type(requests).__module__.partition(".")[0]
    if library in ("pandas", "polars"):
        return of_frame(requests, library)
    try:
        return iter(requests)  # type: ignore[call-overload, no-any-return]
    except TypeError:
        kind = type(requests).__name__
        raise UsageError(
            f"requests is a {kind}: give dictionaries, pydantic models, a DataFrame, or the path of a JSONL file"
        ) from None


def _of_frame(frame: Any, library: str) -> Iterator[object]:
    """The requests of a DataFrame."""
    if type(frame).__name__ != "DataFrame":
        kind = type(frame).__name__
        raise UsageError(f"requests is a {kind} of {library}: give a DataFrame with the columns custom_id and body")
    names = [str(name) for name in frame.columns]
    lacking = [name for name in ("custom_id", "body") if names.count(name) != 1]
    if lacking:
        raise UsageError(
            f"the DataFrame needs one column {' and one '.join(lacking)}, and has {', '.join(names)}; "
            "or say what is asked of each row, as user=\"{{ column }}\""
        )
    taken = [name for name in COLUMNS if name in names]
    if library == "polars":
        rows: Iterable[Tuple[object, ...]] = frame.select(taken).iter_rows()
    else:
        rows = zip(*(frame[name] for name in taken))
    # A struct of polars has all fields in each row, and null in those that a request does not have.
    within = absent if library == "polars" else _as_it_is
    return (
        {name: within(value) for name, value in zip(taken, row) if not is_nothing(value)}
        for row in rows
    )


def _as_it_is(value: object) -> object:
    return value


def _line(number: int, item: object, url: str) -> bytes:
    request = plain(item)
    where = f"request {number}"
    if not isinstance(request, dict):
        kind = type(item).__name__
        raise RequestError(
            f"{where}: it is a {kind}; a request is a dictionary with custom_id and body. Files are given as "
            "pathlib.Path; nothing was sent"
        )
    custom_id = request.get("custom_id")
    if custom_id is None:
        raise RequestError(f"{where}: it has no custom_id, by which its answer is found; nothing was sent")
    if not isinstance(custom_id, str):
        kind = type(custom_id).__name__
        raise RequestError(f"{where}: custom_id is a {kind}: make it a text, as by str(); nothing was sent")
    where = f"{where} ({quoted(custom_id)})"
    if request.get("body") is None:
        raise RequestError(f"{where}: it has no body, which is what the endpoint takes; nothing was sent")
    if not isinstance(plain(request["body"]), dict):
        kind = type(request["body"]).__name__
        raise RequestError(f"{where}: body is a {kind}: give a dictionary; nothing was sent")
    rest: Dict[str, object] = {name: value for name, value in request.items() if name not in COLUMNS}
    whole = {
        "custom_id": custom_id,
        "method": request.get("method") or "POST",
        "url": request.get("url") or url,
        "body": request["body"],
        **rest,
    }
    return encode(whole, where)
