"""A gateway for tests: a service with a built-in model in a process of its own, with no account and no network."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import tempfile
import time
import weakref
from types import TracebackType
from typing import IO, Any, Dict, List, Optional, Tuple, Type

from . import _options
from ._child import error_in, failed, start
from .errors import CrashedError, UsageError

#: How long it may take to be ready, in seconds.
START = 30.0

#: How long it may take to stop beyond its ``grace=``, which is 30 seconds by default.
STOP = 45.0

#: The key with which it can be used when it lets any in.
ANY_KEY = "any-key"


class Gateway:
    """A gateway that runs within a ``with`` block. See ``gateway``."""

    def __init__(self, **options: object) -> None:
        keys = options.pop("key", None)
        self._keys = _keys(keys)
        self._options = options
        self._child: Optional[subprocess.Popen[bytes]] = None
        self._files = contextlib.ExitStack()
        self._said: Optional[IO[bytes]] = None
        self._urls: Tuple[str, str, str] = ("", "", "")
        #: What it printed once it was ready.
        self.data: Dict[str, Any] = {}
        #: What was left over when it stopped, such as faults that nothing met.
        self.leftovers: List[str] = []

    @property
    def url(self) -> str:
        """Where it is, without a path: what ``base_url=`` takes. It is MKA1's gateway then."""
        return self._url(0)

    @property
    def mka1_url(self) -> str:
        """Its base URL as MKA1's gateway."""
        return self._url(1)

    @property
    def openai_url(self) -> str:
        """Its base URL as OpenAI's service, which clients of OpenAI take."""
        return self._url(2)

    @property
    def api_key(self) -> str:
        """A key that it lets in."""
        return self._keys[0] if self._keys else ANY_KEY

    @property
    def service(self) -> Dict[str, Any]:
        """The options of ``run`` that name it: ``lote.run(requests, dir=…, **gateway.service)``."""
        return {"base_url": self.url, "api_key": self.api_key}

    def start(self) -> Gateway:
        """Starts it, and waits until it is ready."""
        if self._child is not None:
            raise UsageError("the gateway is started already")
        options = dict(self._options)
        options.setdefault("listen", "127.0.0.1:0")
        words, environment = _options.arguments(options)
        self.leftovers = []
        try:
            files: List[int] = []
            if self._keys:
                files.append(self._key_file())
                words.append(f"--key-file=/dev/fd/{files[0]}")
            said = self._said = self._files.enter_context(tempfile.TemporaryFile())
            child = start(
                # Whatever becomes of this program, even by kill -9, the other end of its stdin is closed then.
                ["gateway", "--json", "--stop-with-stdin", *words],
                environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                pass_fds=files,
            )
            # Nobody else ends it when the program ends without stop().
            self._files.callback(weakref.finalize(self, _kill, child))
            self._child = child
            self.data = self._ready(child)
            self._urls = (f"http://{self.data['listen']}", *self.data["base_urls"])
        except BaseException:
            self._child = None
            self._files.close()
            raise
        return self

    def stop(self) -> None:
        """Stops it by SIGTERM, and waits for its end. What is at work may be finished for ``grace=`` first."""
        child, self._child = self._child, None
        if child is None:
            return
        with self._files:
            ended_before = child.poll() is not None
            child.terminate()
            try:
                code = child.wait(STOP)
            except subprocess.TimeoutExpired:
                raise CrashedError(f"the gateway still runs {STOP:.0f} s after SIGTERM, and was killed") from None
            said = self._lines()
            if code != 0 or ended_before:
                message, details = error_in(said)
                raise failed(code or 2, message or "the gateway has ended by itself", details, None)
            self.leftovers = [line[len("note: ") :] for line in said if line.startswith("note: ")]

    def __enter__(self) -> Gateway:
        return self.start()

    def __exit__(
        self, kind: Optional[Type[BaseException]], value: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        try:
            self.stop()
        except Exception:
            # What went wrong in the block is what its owner wants to see.
            if value is None:
                raise

    def __repr__(self) -> str:
        return f"Gateway({self._urls[0]!r})" if self._child is not None else "Gateway()"

    def _url(self, at: int) -> str:
        if self._child is None:
            raise UsageError("the gateway does not run: use it within its with block")
        return self._urls[at]

    def _key_file(self) -> int:
        # One without a name: whatever becomes of this program, no key is left on the disk, nor in a command line.
        file = self._files.enter_context(tempfile.TemporaryFile())
        file.write("".join(f"{key}\n" for key in self._keys).encode())
        file.seek(0)
        return file.fileno()

    def _ready(self, child: subprocess.Popen[bytes]) -> Dict[str, Any]:
        """What it prints when it listens."""
        assert child.stdin is not None and child.stdout is not None
        self._files.enter_context(child.stdin)
        self._files.enter_context(child.stdout)
        line, end = b"", time.monotonic() + START
        while not line.endswith(b"\n"):
            left = end - time.monotonic()
            if left <= 0 or not select.select([child.stdout], [], [], left)[0]:
                raise CrashedError(f"the gateway is not ready after {START:.0f} s", self._lines())
            piece = os.read(child.stdout.fileno(), 4096)
            if not piece:
                message, details = error_in(self._lines()) if child.wait() else ("", [])
                raise failed(child.returncode, message, details, None)
            line += piece
        data: Dict[str, Any] = json.loads(line)
        return data

    def _lines(self) -> List[str]:
        """What it said to people."""
        if self._said is None:
            return []
        self._said.seek(0)
        return self._said.read().decode("utf-8", "replace").splitlines()


def gateway(**options: object) -> Gateway:
    """A gateway for a ``with`` block, on a free port of this machine.

    >>> with lote.gateway() as gateway:
    ...     run = lote.run(requests, dir="test.run", **gateway.service)

    The options are those of ``lote gateway``: ``faults="faults.toml"``, ``seed=7``, ``key="secret"`` (the only key that is
    let in), ``upstream="http://127.0.0.1:8000/v1"``.
    """
    return Gateway(**options)


def _keys(keys: object) -> List[str]:
    if keys is None:
        return []
    several = [keys] if isinstance(keys, str) else keys
    if not isinstance(several, (list, tuple)) or not all(isinstance(key, str) for key in several):
        raise UsageError("key= is a text, or a list of texts")
    if any(not key or key.startswith("#") or any(c.isspace() or not c.isprintable() for c in key) for key in several):
        raise UsageError("key=: a key is not empty, does not begin with #, and has no white space or unseen characters in it")
    return list(several)


def _kill(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.kill()
        child.wait()
