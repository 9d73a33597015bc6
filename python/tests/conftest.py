"""What the tests share: a gateway for all of them, and a folder of their own for each."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Callable, Dict, Iterator, List

import lote_batch as lote
import pytest

pytest_plugins = ["pytester"]

Texts = Callable[..., List[Dict[str, object]]]


@pytest.fixture(scope="session", autouse=True)
def _no_settings() -> Iterator[None]:
    """The settings of whoever runs the tests are none of theirs."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith("LOTE_") and name != "LOTE_BIN":
                patch.delenv(name)
        yield


@pytest.fixture
def gateway(lote_gateway: lote.Gateway) -> lote.Gateway:
    """One for each test: a run that finds batches of its own requests at the service pays for none of them again."""
    return lote_gateway


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which a test is."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def chat(text: str) -> Dict[str, object]:
    """The body of a request that asks this."""
    return {"model": "m-1", "messages": [{"role": "user", "content": text}]}


@pytest.fixture
def texts() -> Texts:
    """Makes requests of texts, named q-0, q-1 and so on."""

    def make(*texts: str) -> List[Dict[str, object]]:
        return [{"custom_id": f"q-{n}", "body": chat(text)} for n, text in enumerate(texts)]

    return make


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], List[str]]:
    """Puts a command in place of lote that notes its words and its environment, and then is lote."""
    from lote_batch import _binary

    noted, real = tmp_path / "noted", _binary.find()
    program = tmp_path / "noting-lote"
    program.write_text(f'#!/bin/sh\nfor word in "$@"; do echo "$word"; done >> {noted}\nexec {real} "$@"\n')
    program.chmod(0o755)
    monkeypatch.setattr("lote_batch._child.find", lambda: str(program))
    return lambda: noted.read_text().splitlines()
