"""Runs the command: what it is given, what it prints, and Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import signal
import subprocess
import threading
import zlib
from collections import deque
from typing import IO, Any, Callable, Deque, Dict, Iterable, Iterator, List, Mapping, Optional, Sequence, Tuple

from ._binary import find
from ._json import quoted
from .errors import BY_EXIT_CODE, CrashedError, LoteError, UsageError

#: Where the steps of a run are told.
LOG = logging.getLogger("lote_batch")

#: How much is written to the command at once.
PIECE = 256 * 1024

#: How many of the last lines of what it says are kept.
KEPT = 500

#: The environment variables of keys, which nothing that is shown may have in it.
KEYS = ("LOTE_API_KEY", "OPENAI_API_KEY")

#: A shorter one is no secret, and is part of other words, such as "any".
SHORTEST_KEY = 8

#: How many findings of requests are in the text of an error; all of them are in its ``findings``.
SHOWN_FINDINGS = 10

#: How long a command that is told to stop may take, in seconds.
PATIENCE = 10.0

Progress = Optional[Callable[[str], object]]


class Ended:
    """How a command ended."""

    def __init__(self, code: int, printed: str, said: Sequence[str]) -> None:
        self.code = code
        self.data = json_of(printed)
        self.message, self.details = error_in(said)

    def error(self) -> LoteError:
        """The error of its exit code."""
        return failed(self.code, self.message, self.details, self.data)


def failed(code: int, message: str, details: Sequence[str], data: Optional[Dict[str, Any]]) -> LoteError:
    """The error of an exit code."""
    kind = BY_EXIT_CODE.get(code)
    if kind is None:
        how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return CrashedError(f"the command lote {how}: {message or 'it said nothing'}", details, data, exit_code=code)
    unreadable = (data or {}).get("unreadable")
    if unreadable and not message:
        # Of the results of a run, which it can write anew.
        first = (data or {}).get("first_unreadable")
        message = f"{unreadable} of the lines of results cannot be read, first: {first}; resume() writes them anew"
    message = message or f"the command lote ended with exit code {code}"
    findings = (data or {}).get("findings", [])
    if findings:
        # The command prints them before its error.
        rest = "; all of them are in error.findings" if len(findings) > SHOWN_FINDINGS else ""
        message = message.replace("stdin: ", "requests: ", 1).replace("; see all with lote check", rest)
        details = [_finding(finding) for finding in findings[:SHOWN_FINDINGS]] + list(details)
    return kind(message, details, data)


def _finding(finding: Mapping[str, Any]) -> str:
    message = finding.get("message")
    if "rows" in finding:
        # Of a table, whose findings are counted, or are about all of it.
        row, more = finding.get("row"), (finding.get("rows") or 1) - 1
        count = f" (and in {more} more)" if more else ""
        return f"  {message}" if row is None else f"  row {row}: {message}{count}"
    line, custom_id = finding.get("line"), finding.get("custom_id")
    if line is None:
        return f"  {message}"
    named = "" if custom_id is None else f" ({quoted(custom_id)})"
    return f"  line {line}{named}: {message}"


def start(words: Sequence[str], environment: Mapping[str, str], **streams: Any) -> subprocess.Popen[bytes]:
    """Starts the command. It has a session of its own, so that the Ctrl-C of a terminal reaches it through us alone."""
    try:
        return subprocess.Popen(
            [find(), *words], env={**os.environ, **environment}, start_new_session=True, **streams
        )
    except OSError as error:
        raise UsageError(f"the command lote cannot be started: {error}") from error
    except ValueError:
        # Of half a surrogate pair. The error itself holds the text, which may be the key.
        raise UsageError("an option holds what no command can be given, such as half of a surrogate pair") from None


class CallInterrupted(KeyboardInterrupt):
    """Ctrl-C, after the command has ended by it."""

    def __init__(self, ended: Ended) -> None:
        super().__init__(ended.message)
        self.ended = ended


def call(
    words: Sequence[str],
    environment: Mapping[str, str],
    lines: Optional[Iterable[bytes]] = None,
    progress: Progress = None,
) -> Ended:
    """Runs the command to its end; the lines go to its stdin as they come.

    On Ctrl-C the command is told so once, and is waited for. Once more, and it is killed, which a run survives.
    """
    if progress is not None and not callable(progress):
        raise UsageError(f"progress= is a {type(progress).__name__}: give a function that takes a line, such as print")
    stdin = subprocess.DEVNULL if lines is None else subprocess.PIPE
    child = start(words, environment, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    settings = {**os.environ, **environment}
    listener = _Listener(child, [settings.get(name, "").strip() for name in KEYS], progress)
    try:
        listener.start()
        if lines is not None:
            _feed(child, lines)
        child.wait()
    except KeyboardInterrupt:
        _interrupt(child)
        raise CallInterrupted(listener.ended()) from None
    except BaseException:
        # What makes the lines has failed. The end of stdin would look like the last line: first the command ends.
        _stop(child)
        raise
    finally:
        listener.close()
    return listener.ended()


class _Listener:
    """Reads what a command prints, and what it says to people, which is passed on."""

    def __init__(self, child: subprocess.Popen[bytes], keys: Sequence[str], progress: Progress) -> None:
        self._child = child
        self._keys = [key for key in keys if len(key) >= SHORTEST_KEY]
        self._progress = progress
        self._printed = b""
        self._said: Deque[str] = deque(maxlen=KEPT)
        self._threads = [
            threading.Thread(target=self._read, args=(child.stdout,), daemon=True),
            threading.Thread(target=self._listen, args=(child.stderr,), daemon=True),
        ]

    def start(self) -> None:
        """From now on, what comes is read."""
        for thread in self._threads:
            thread.start()

    def _read(self, stdout: IO[bytes]) -> None:
        self._printed = stdout.read()

    def _listen(self, stderr: IO[bytes]) -> None:
        for raw in stderr:
            line = self._without_keys(raw.decode("utf-8", "replace").rstrip("\r\n"))
            self._said.append(line)
            LOG.info("%s", line)
            if self._progress is not None:
                try:
                    self._progress(line)
                except BaseException:
                    # Nobody else would read what the command says, and it would wait for that.
                    LOG.exception("progress= failed, and is not called again")
                    self._progress = None

    def _without_keys(self, text: str) -> str:
        for key in self._keys:
            text = text.replace(key, "***")
        return text

    def ended(self) -> Ended:
        """How the command ended, once it has."""
        self._join()
        printed = self._without_keys(self._printed.decode("utf-8", "replace"))
        return Ended(self._child.returncode, printed, list(self._said))

    def _join(self) -> None:
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def close(self) -> None:
        """Closes the streams of a command that has ended."""
        self._join()
        for stream in (self._child.stdin, self._child.stdout, self._child.stderr):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()


def _feed(child: subprocess.Popen[bytes], lines: Iterable[bytes]) -> None:
    stdin = child.stdin
    assert stdin is not None
    # As gzip, which makes nothing smaller here: when this program is killed, the command sees that the end is lacking. Of
    # plain lines it would run, and pay for, those that had come.
    packed = zlib.compressobj(0, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    # A command that ends early says why, and reads no more.
    with contextlib.suppress(BrokenPipeError):
        for piece in _pieces(lines):
            stdin.write(packed.compress(piece))
        stdin.write(packed.flush())
        stdin.close()


def _pieces(lines: Iterable[bytes]) -> Iterator[bytes]:
    piece: List[bytes] = []
    size = 0
    for line in lines:
        piece.append(line)
        size += len(line)
        if size >= PIECE:
            yield b"".join(piece)
            piece, size = [], 0
    yield b"".join(piece)


def _interrupt(child: subprocess.Popen[bytes]) -> None:
    """Passes Ctrl-C on, once, and waits."""
    try:
        child.send_signal(signal.SIGINT)
        child.wait()
    except KeyboardInterrupt:
        child.kill()
        child.wait()


def _stop(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def error_in(said: Sequence[str]) -> Tuple[str, List[str]]:
    """The error at the end of what a command said, and the lines that belong to it."""
    at = max((at for at, line in enumerate(said) if line.startswith("error: ")), default=None)
    if at is None:
        return (said[-1] if said else ""), []
    message, details = said[at][len("error: ") :], list(said[at + 1 :])
    # Nobody but this package gives the command its stdin: where it begins again, the same call does.
    if any(line.startswith("  lote run --json ") for line in details):
        details = [line for line in details if not line.startswith("  lote run --json ")]
        message += "; the same call begins again"
    # What clap says of a wrong option ends with how to write a command.
    if any(line.startswith("For more information, try") for line in details):
        end = next((at for at, line in enumerate(details) if line.startswith(("Usage:", "For more information"))))
        details = [line for line in details[:end] if line and "to pass '" not in line]
        details.append("  the options are those of the command, with _ in place of -: see lote --help")
    return message, details


def json_of(printed: str) -> Optional[Dict[str, Any]]:
    """The last line that was printed, if that is a JSON object."""
    for line in reversed(printed.splitlines()):
        try:
            value = json.loads(line)
        except ValueError:
            return None
        return value if isinstance(value, dict) else None
    return None
