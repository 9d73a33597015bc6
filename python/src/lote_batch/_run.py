"""Runs: begun, gone on with, looked at and read."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Dict, Generator, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

from . import _options, _requests, _results, _rows, _status, _tables
from ._child import CallInterrupted, Ended, Progress, call
from ._results import Result
from ._status import Status
from .errors import CrashedError, IncompleteError, UsageError

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

    from ._requests import Requests

StrPath = Union[str, "os.PathLike[str]"]

#: Exit codes with which there are results, or are to be later when that was asked for.
DONE, DONE_IN_PART, DETACHED = 0, 1, 5


class Run:
    """A run in its folder. It may be of this process, or of an earlier one: see ``open``."""

    def __init__(self, folder: StrPath, **service: object) -> None:
        #: Its folder.
        self.dir = Path(os.path.abspath(folder))
        #: What the last command printed: the summary of the run.
        self.summary: Optional[Dict[str, Any]] = None
        self._service = _options.hide(service)

    def __repr__(self) -> str:
        return f"Run({str(self.dir)!r})"

    def __reduce__(self) -> Tuple[Any, ...]:
        # Whoever has the pickle is not to have the key.
        return Run, (str(self.dir),)

    def status(self) -> Status:
        """How far it has come. The service is not asked; another process may be at work on the run."""
        return _status.of(_answer(["status", "--json", "--", str(self.dir)]))

    def resume(self, *, progress: Progress = None, **options: object) -> Run:
        """Goes on with it, whatever ended it. A finished run makes no call.

        The options are those of ``lote resume``. Which service it is at, and the key, are known from ``run`` or ``open``.
        """
        return self._drive("resume", options, progress)

    def repair(self, *, progress: Progress = None, **options: object) -> Run:
        """Tries again what did not succeed and can. The options are those of ``lote repair``, such as ``all=True``."""
        return self._drive("repair", options, progress)

    def cancel(self, *, progress: Progress = None, **options: object) -> Run:
        """Stops its batches, and fetches what they finished. The options are those of ``lote cancel``."""
        return self._drive("cancel", options, progress)

    def results(self) -> Generator[Result, None, None]:
        """What became of each request, in their order, read one by one."""
        return _results.read(self.dir)

    def check(self) -> Run:
        """The run itself, when all of its lines succeeded; else an ``IncompleteError`` says how they ended."""
        status = self.status()
        results = status.results
        if results is None:
            raise UsageError(f"{self.dir}: the run is {status.phase}, and has no results yet", [], status.data, self)
        if results["succeeded"] == results["lines"] and not results["damaged_files"]:
            return self
        kinds = ("failed", "expired", "cancelled", "unreadable", "missing")
        counts = ", ".join(f"{results[kind]} {kind}" for kind in kinds if results[kind])
        details = [f"  {error['count']} × {error['code']}: {error['message']}" for error in results["errors"][:5]]
        damaged = f", {results['damaged_files']} files of answers are damaged" if results["damaged_files"] else ""
        message = f"{self.dir}: {results['succeeded']} of {results['lines']} succeeded, {counts}{damaged}"
        raise IncompleteError(message, details, status.data, self)

    def export(self, path: StrPath, **options: object) -> Dict[str, Any]:
        """Writes its results as a table, by the ending of the path: .csv, .tsv, .jsonl, .parquet or .npy.

        The options are those of ``lote export``, such as ``fields=["good", "why"]``; what is returned is what it says
        with ``--json``, such as ``rows`` and ``cost``.
        """
        words, environment = _options.arguments(options)
        output = f"--output={os.fsdecode(path)}"
        return _answer(["export", "--json", output, *words, "--", str(self.dir)], environment)

    def to_pandas(self, **options: object) -> pandas.DataFrame:
        """Its results as a DataFrame of pandas. The options are those of ``lote export``, such as ``text=True``."""
        return _tables.to_pandas(self, options)

    def to_polars(self, **options: object) -> polars.DataFrame:
        """Its results as a DataFrame of Polars. The options are those of ``lote export``."""
        return _tables.to_polars(self, options)

    def to_arrow(self, **options: object) -> pyarrow.Table:
        """Its results as a table of Arrow. The options are those of ``lote export``."""
        return _tables.to_arrow(self, options)

    def _drive(self, command: str, options: Mapping[str, object], progress: Progress) -> Run:
        given = {**self._service, **_options.hide(options)}
        words, environment = _options.arguments(given)
        ended = _call([command, "--json", *words, "--", str(self.dir)], environment, None, progress, self.dir)
        return _ended(ended, given, self)


def run(
    requests: Requests,
    dir: Optional[StrPath] = None,
    *,
    endpoint: Optional[str] = None,
    progress: Progress = None,
    **options: object,
) -> Run:
    """Runs requests to their results, and waits for them: minutes to a day.

    ``requests`` is an iterable of dictionaries or pydantic models, each a whole request line or ``custom_id`` and
    ``body``; a DataFrame with these columns; or the path of a JSONL file. A generator is read once, and never held.

    With ``user="{{ subject }}: {{ body }}"``, ``embed=`` or ``template=`` it is the rows of a table: a DataFrame with any
    columns, dictionaries, or the path of a CSV, JSONL or Parquet file. ``model=``, ``system=``, ``schema=`` (a dictionary,
    or a class of pydantic), ``temperature=``, ``field={"top_p": 0.9}`` and ``id="{{ ticket }}"`` say the rest.

    ``dir`` is the folder in which the run is kept; of a file the default is beside it. The same call again goes on with
    the run, and with one that is finished makes no call.

    ``endpoint`` is that of requests without a ``url``: ``chat`` (the default), ``responses``, ``embeddings``, or a path.

    ``progress`` is called with each line that is said of the run, such as ``print``; they also go to the logger
    ``lote_batch``.

    All other options are those of ``lote run``: ``base_url=``, ``api_key=``, ``dialect=``, ``deadline="26h"``,
    ``attempts=3``, ``metadata={"team": "a"}``, ``detach=True``. Those that are not given come from the environment, as
    ``LOTE_API_KEY`` does.

    Lines that fail are results like others, and no exception: see ``Run.check``.
    """
    options = _options.hide(options)
    paths = _requests.files(requests)
    lines = None if paths is not None else _requests.lines(requests, endpoint, _rows.are_meant(options))
    words, environment = _options.arguments(options)
    if options.get("embedded"):
        given = [f"{name}=" for name in _options.BY_ENVIRONMENT if options.get(name) is not None]
        if given:
            raise UsageError(f"embedded=True and {' and '.join(given)} were both given: leave one of them out")
    if endpoint is not None:
        words.append(f"--endpoint={_requests.path_of(endpoint)}")
    folder = None if dir is None else Path(os.path.abspath(dir))
    if folder is not None:
        words.append(f"--dir={folder}")
    elif paths is None:
        raise UsageError('dir= is not given: name the folder in which the run is kept, such as dir="first.run"')
    ended = _call(["run", "--json", *words, "--", *(paths or ["-"])], environment, lines, progress, folder)
    return _ended(ended, options, None, folder)


def open(dir: StrPath, **service: object) -> Run:
    """The run in a folder, of an earlier process.

    The options name its service, as in ``run``: ``base_url=``, ``api_key=``, ``dialect=``; ``Run.resume`` needs them
    unless the environment has them. To look at it, and to read its results, nothing is needed.
    """
    opened = Run(dir, **service)
    unknown = [name for name in service if name not in _options.SERVICE]
    if unknown:
        known = ", ".join(_options.SERVICE)
        raise UsageError(f"{unknown[0]}= is no option of open(), which takes {known}: give it to resume()")
    opened.status()
    return opened


def _call(
    words: Sequence[str],
    environment: Mapping[str, str],
    lines: Optional[Iterator[bytes]],
    progress: Progress,
    folder: Optional[Path],
) -> Ended:
    try:
        return call(words, environment, lines, progress)
    except CallInterrupted as interrupt:
        ended = interrupt.ended
        message = ended.message or "interrupted"
        if ended.code in (DONE, DONE_IN_PART):
            message = "interrupted; the run is finished"
        elif ended.code == -signal.SIGINT:
            # It had not begun to listen for it, and so not to work.
            message = "interrupted before anything was done"
        elif ended.code < 0:
            message = "interrupted; the command was killed, and what the run has done until then is in its folder"
        if folder is not None and (folder / "run.json").exists():
            message += f"; lote.open({str(folder)!r}).resume() goes on with it"
        # Of no class of its own: Python ends a program as Ctrl-C does, with the signal, for this one alone.
        raise KeyboardInterrupt("\n".join([message, *ended.details])) from None


def _ended(ended: Ended, options: Mapping[str, object], run: Optional[Run], asked: Optional[Path] = None) -> Run:
    """The run, when there is what was asked for."""
    # With ``new`` it is another than was asked for. A name that is no UTF-8 is not as the command prints it.
    there = (folder for folder in (_folder(ended.data), asked) if folder is not None and (folder / "run.json").exists())
    folder = next(there, None)
    if run is None and folder is not None:
        run = Run(folder)
    if run is not None:
        run._service = {name: value for name, value in options.items() if name in _options.SERVICE}
    detached = bool(options.get("detach")) and ended.code == DETACHED and "error" not in (ended.data or {})
    if ended.code in (DONE, DONE_IN_PART) or detached:
        if run is None or ended.data is None:
            raise CrashedError(f"the command lote ended without a summary: {ended.message}", ended.details)
        run.summary = ended.data
        return run
    error = ended.error()
    error.run = run
    raise error


def _folder(data: Optional[Dict[str, Any]]) -> Optional[Path]:
    folder = (data or {}).get("folder")
    return Path(os.path.abspath(folder)) if isinstance(folder, str) else None


def _answer(words: List[str], environment: Optional[Mapping[str, str]] = None) -> Dict[str, Any]:
    """What a command prints that does not talk to a service."""
    ended = _call(words, environment or {}, None, None, None)
    if ended.code != 0:
        raise ended.error()
    if ended.data is None:
        raise CrashedError(f"the command lote {words[0]} printed no JSON: {ended.message}", ended.details)
    return ended.data
