"""Batches of LLM requests, from texts or a DataFrame to answers.

>>> import lote_batch as lote
>>> run = lote.run(tickets, dir="first.run", model="m", user="{{ subject }}: {{ body }}", id="{{ ticket }}")
>>> for result in run.results():
...     print(result.custom_id, result.outcome, result.text)

A run is a folder. The same call again goes on with it, whatever ended it, and pays for nothing twice; a finished run makes
no call. The work is done by the command ``lote``, which is in this package.
"""

from __future__ import annotations

from ._gateway import Gateway, gateway
from ._results import Failure, Outcome, Result, Usage
from ._run import Run, open, run
from ._status import Status
from .errors import (
    CommandNotFoundError,
    CrashedError,
    GaveUpError,
    HeldError,
    IncompleteError,
    LoteError,
    MissingPackageError,
    RefusedError,
    RequestError,
    ServiceError,
    StoppedError,
    UsageError,
)

__all__ = [
    "CommandNotFoundError",
    "CrashedError",
    "Failure",
    "Gateway",
    "GaveUpError",
    "HeldError",
    "IncompleteError",
    "LoteError",
    "MissingPackageError",
    "Outcome",
    "RefusedError",
    "RequestError",
    "Result",
    "Run",
    "ServiceError",
    "Status",
    "StoppedError",
    "Usage",
    "UsageError",
    "gateway",
    "open",
    "run",
]
