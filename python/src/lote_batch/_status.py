"""How far a run has come."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Optional


@dataclass(frozen=True)
class Status:
    """How far a run has come, as its folder says: the service is not asked."""

    #: Its name, also in the metadata of its batches.
    run: str
    folder: Path
    #: ``working`` while a process is at work on it, ``stopped``, ``held`` or ``finished``.
    phase: str
    #: How many request lines it has.
    lines: int
    #: How many of them have ended, and how many of those succeeded.
    ended: int
    succeeded: int
    cancelled: bool
    #: What came of its lines, once it is finished: counts by outcome, ``usage``, ``models``, ``errors`` and ``anomalies``.
    results: Optional[Dict[str, Any]] = field(repr=False)
    #: All of it, as ``lote status --json`` prints it.
    data: Dict[str, Any] = field(repr=False)

    @property
    def finished(self) -> bool:
        """Whether its results are there."""
        return self.phase == "finished"


def of(data: Dict[str, Any]) -> Status:
    """The status that the command printed."""
    return Status(
        run=data["run"],
        folder=Path(data["folder"]),
        phase=data["phase"],
        lines=data["lines"],
        ended=data["ended"],
        succeeded=data["succeeded"],
        cancelled=data["cancelled"],
        results=data["results"],
        data=data,
    )
