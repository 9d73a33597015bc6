"""Keywords as options of the command: ``max_open=3`` is ``--max-open=3``. Secrets go by the environment, never by argv."""

from __future__ import annotations

import json
import math
import os
from datetime import timedelta
from typing import Dict, List, Mapping, Tuple

from . import _schema
from .errors import UsageError

#: What other users of the machine must not see: a key, and a URL that may have a password in it.
BY_ENVIRONMENT = {"api_key": "LOTE_API_KEY", "base_url": "LOTE_BASE_URL"}

#: What names the service, which the next command of the same run needs again.
SERVICE = ("base_url", "api_key", "dialect", "on_behalf_of", "ca_cert", "retries", "profile")

#: Options whose values are JSON.
AS_JSON = ("batch_field", "field")

#: What this package gives itself, or what prints something else than an answer.
OWN = ("json", "help", "version", "watch")


class Secret:
    """A text that is never shown, not even in a traceback that prints variables."""

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        return "Secret(***)"

    def reveal(self) -> str:
        """The text."""
        return self._value


def hide(options: Mapping[str, object]) -> Dict[str, object]:
    """The same options, with their secrets hidden."""
    return {
        name: Secret(value) if name in BY_ENVIRONMENT and isinstance(value, str) else value
        for name, value in options.items()
    }


def arguments(options: Mapping[str, object]) -> Tuple[List[str], Dict[str, str]]:
    """The words of the command line, and what goes by the environment."""
    words: List[str] = []
    environment: Dict[str, str] = {}
    for name, value in options.items():
        if name in OWN:
            raise UsageError(f"{name}= is no option here: the package reads what the command prints")
        if name in BY_ENVIRONMENT:
            if value is None:
                continue
            text = value.reveal() if isinstance(value, Secret) else value
            if not isinstance(text, str):
                raise UsageError(f"{name}= is {_kind(value)}: give a text")
            environment[BY_ENVIRONMENT[name]] = text
            continue
        words += _words(name, value)
    if any("\0" in text for text in [*words, *environment.values()]):
        raise UsageError("an option holds a NUL character, which no command can be given")
    return words, environment


def _words(name: str, value: object) -> List[str]:
    flag = "--" + name.replace("_", "-")
    if name == "schema":
        value = _schema.text(value) or value
    if value is None or value is False:
        return []
    if value is True:
        return [flag]
    if isinstance(value, Mapping):
        return [f"{flag}={key}={_in_pair(name, key, one)}" for key, one in value.items()]
    if isinstance(value, (list, tuple)):
        return [f"{flag}={_text(name, one)}" for one in value]
    return [f"{flag}={_text(name, value)}"]


def _in_pair(name: str, key: object, value: object) -> str:
    if name not in AS_JSON:
        return _text(name, value)
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UsageError(f"{name}=, {key}: this is not JSON: {error}") from None


def _text(name: str, value: object) -> str:
    if isinstance(value, timedelta):
        milliseconds = round(value / timedelta(milliseconds=1))
        return f"{milliseconds // 1000}s" if milliseconds % 1000 == 0 else f"{milliseconds}ms"
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float) and math.isfinite(value):
        return repr(float(value))
    raise UsageError(f"{name}= is {_kind(value)}: give a text, a number, a path, a timedelta, or a list of them")


def _kind(value: object) -> str:
    name = type(value).__name__
    return f"{value!r}" if isinstance(value, (bool, float)) else f"a {name}"
