"""What goes wrong: one class for each exit code of the command, and those of this package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Optional, Sequence, Type

if TYPE_CHECKING:
    from ._run import Run


class LoteError(Exception):
    """Something that did not work. Its text says where, what, and what to do."""

    #: The exit code of the command that each class is for; none for errors that come before it.
    exit_code: Optional[int] = None

    def __init__(
        self,
        message: str,
        details: Sequence[str] = (),
        data: Optional[Dict[str, Any]] = None,
        run: Optional[Run] = None,
        exit_code: Optional[int] = None,
    ) -> None:
        # All of them are arguments, so that the error can be pickled.
        super().__init__(message, tuple(details), data, run, exit_code)
        #: One sentence.
        self.message = message
        #: The lines that follow it, such as the commands with which a run goes on.
        self.details = tuple(details)
        #: What the command printed as JSON, if it did.
        self.data = data
        #: The run that it is about, once that has a folder.
        self.run = run
        if exit_code is not None:
            self.exit_code = exit_code

    def __str__(self) -> str:
        return "\n".join([self.message, *self.details])


class IncompleteError(LoteError):
    """Some lines did not succeed (exit 1). Raised by ``Run.check()``: what succeeded is there."""

    exit_code = 1


class UsageError(LoteError):
    """A wrong option or value, or a file here that cannot be used (exit 2). Nothing was sent."""

    exit_code = 2


class RefusedError(LoteError):
    """The requests were refused before anything was sent (exit 3)."""

    exit_code: Optional[int] = 3

    @property
    def findings(self) -> List[Dict[str, Any]]:
        """What is wrong with the requests: each with ``line``, ``custom_id``, ``code`` and ``message``."""
        return list((self.data or {}).get("findings", []))


class RequestError(RefusedError, ValueError):
    """A request that cannot be written as a line of JSON. Nothing was sent."""

    exit_code: Optional[int] = None


class ServiceError(LoteError):
    """The service refused, could not be reached, or failed all batches (exit 4)."""

    exit_code = 4


class GaveUpError(LoteError):
    """The ``deadline=`` was over (exit 5). The batches at work go on, and so does ``Run.resume()``."""

    exit_code = 5


class HeldError(LoteError):
    """A person must say what became of a create or of a batch (exit 6). The text says how."""

    exit_code = 6


class StoppedError(LoteError):
    """The command was told to stop, and not by Ctrl-C here (exit 130)."""

    exit_code = 130


class CrashedError(LoteError):
    """The command ended in a way that it never should, such as by a signal."""


class CommandNotFoundError(LoteError):
    """There is no command ``lote`` to be found."""


class MissingPackageError(LoteError, ImportError):
    """A package that this needs is not installed."""


BY_EXIT_CODE: Dict[int, Type[LoteError]] = {
    kind.exit_code: kind
    for kind in (IncompleteError, UsageError, RefusedError, ServiceError, GaveUpError, HeldError, StoppedError)
    if kind.exit_code is not None
}
