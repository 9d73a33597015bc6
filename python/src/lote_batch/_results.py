"""The results of a run, one after the other."""

from __future__ import annotations

import json
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, Generator, List, Optional, Tuple, Union

from ._child import error_in, failed, json_of, start
from .errors import LoteError

#: What a request line comes to: ``succeeded``, ``failed``, ``expired``, ``cancelled``, ``unreadable`` or ``missing``.
Outcome = str


@dataclass(frozen=True)
class Usage:
    """The tokens of an answer."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    #: The part of the input that was read from a cache.
    cached_tokens: int
    #: The part of the output that was spent on reasoning.
    reasoning_tokens: int


@dataclass(frozen=True)
class Failure:
    """Why a request has no answer."""

    #: A name for programs, such as ``batch_expired`` or ``rate_limit_exceeded``.
    code: Optional[str]
    #: What the service says to people.
    message: Optional[str]


@dataclass(frozen=True)
class Result:
    """What became of one request."""

    custom_id: str
    outcome: Outcome
    #: What the model said. None when it said nothing (a refusal, a call of a tool, a vector), or several texts.
    text: Optional[str]
    #: The body of the answer, as the endpoint gives it; of a request that failed that of the refusal.
    body: Any = field(repr=False)
    #: Why it did not succeed.
    error: Optional[Failure]
    usage: Optional[Usage]
    #: All that the model said: several texts when it was asked for several answers (``n``).
    texts: Tuple[str, ...] = ()
    status_code: Optional[int] = None
    model: Optional[str] = None
    #: ``stop``; ``length`` of an answer that was cut off.
    finish_reason: Optional[str] = None

    @property
    def succeeded(self) -> bool:
        """Whether there is an answer."""
        return self.outcome == "succeeded"

    def json(self) -> Any:
        """The text as JSON, as of structured output.

        Raises ``ValueError``, which names the request, when there is no text, or it is no JSON.
        """
        if self.text is None:
            why = self.error.message if self.error is not None else None
            raise ValueError(f'result "{self.custom_id}": it {self.outcome} and has no text: {why or self.finish_reason}')
        try:
            return json.loads(self.text)
        except ValueError as error:
            raise ValueError(f'result "{self.custom_id}": its text is no JSON: {error}') from None


def of_line(line: Union[str, bytes]) -> Result:
    """The result that a line of ``lote export --to outcomes`` says."""
    value: Dict[str, Any] = json.loads(line)
    error, usage, texts = value["error"], value["usage"], tuple(value["texts"])
    return Result(
        custom_id=value["custom_id"],
        outcome=value["outcome"],
        text=texts[0] if len(texts) == 1 else None,
        body=value["body"],
        error=None if error is None else Failure(error["code"], error["message"]),
        usage=None if usage is None else _usage(usage),
        texts=texts,
        status_code=value["status_code"],
        model=value["model"],
        finish_reason=value["finish_reason"],
    )


def _usage(value: Dict[str, int]) -> Usage:
    # A newer command may count more.
    return Usage(
        input_tokens=value["input_tokens"],
        output_tokens=value["output_tokens"],
        total_tokens=value["total_tokens"],
        cached_tokens=value["cached_tokens"],
        reasoning_tokens=value["reasoning_tokens"],
    )


def read(folder: Path) -> Generator[Result, None, None]:
    """The results of the run in a folder, in the order of its requests, each read when it is asked for."""
    words = ["export", "--to=outcomes", "--output=-", "--json", "--", str(folder)]
    with tempfile.TemporaryFile() as said:
        child = start(words, {}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said)
        stdout = child.stdout
        assert stdout is not None
        try:
            for line in stdout:
                yield of_line(line)
            code = child.wait()
        finally:
            # Whoever stops reading wants no more of them.
            stdout.close()
            if child.poll() is None:
                child.kill()
                child.wait()
        if code == 0:
            return
        said.seek(0)
        lines = said.read().decode("utf-8", "replace").splitlines()
    raise _error(code, lines)


def _error(code: int, said: List[str]) -> LoteError:
    if code != 1:
        message, details = error_in(said)
        return failed(code, message, details, None)
    # What it says of a table that goes to stdout.
    return failed(code, "", [], json_of("\n".join(said)))
