"""What makes the wheel, with a maturin of a few lines. The real one makes the wheel that test_installed.py looks at."""

from __future__ import annotations

import importlib.util
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any, Dict, List, Optional

import pytest

BACKEND = Path(__file__).resolve().parents[1] / "backend.py"

#: A command that prints its words.
COMMAND = '#!/bin/sh\ncase $1 in\ncompletions) echo "for $2" ;;\nman) mkdir -p "$2"; echo page > "$2/lote.1" ;;\nesac\n'


class Maturin:
    """Makes a wheel of a command, and of what it finds beside the backend."""

    def __init__(self, backend: ModuleType, command: str) -> None:
        self.backend, self.command = backend, command
        #: What each wheel had besides its command, and with which settings it was made.
        self.made: List[Dict[str, str]] = []
        self.settings: List[object] = []

    def build_wheel(self, folder: str, settings: Any = None, metadata: Optional[str] = None) -> str:
        prefix = self.backend.PREFIX
        found = {str(path.relative_to(prefix)): path.read_text() for path in prefix.rglob("*") if path.is_file()}
        self.made.append(found)
        self.settings.append((settings, metadata))
        with zipfile.ZipFile(Path(folder, "a.whl"), "w") as wheel:
            wheel.writestr("lote_batch-1.2.3.data/scripts/lote", self.command)
        return "a.whl"


def build(place: Path, monkeypatch: pytest.MonkeyPatch, command: str) -> Maturin:
    spec = importlib.util.spec_from_file_location("backend", BACKEND)
    assert spec is not None and spec.loader is not None
    backend = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(backend)
    monkeypatch.setattr(backend, "PREFIX", place / "lote_batch.data" / "data")
    # Of an earlier build, which was killed.
    stale = backend.PREFIX / "share" / "man" / "man1" / "lote-old.1"
    stale.parent.mkdir(parents=True)
    stale.write_text("old")
    maturin = Maturin(backend, command)
    monkeypatch.setattr(backend.maturin, "build_wheel", maturin.build_wheel)
    (place / "wheels").mkdir()
    assert backend.build_wheel(str(place / "wheels"), {"a": "b"}, "metadata") == "a.whl"
    assert [path.name for path in (place / "wheels").iterdir()] == ["a.whl"]
    assert not (place / "lote_batch.data").exists()
    return maturin


def test_a_wheel_has_what_its_command_prints(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    maturin = build(place, monkeypatch, COMMAND)
    words = {
        "share/bash-completion/completions/lote": "for bash\n",
        "share/zsh/site-functions/_lote": "for zsh\n",
        "share/fish/vendor_completions.d/lote.fish": "for fish\n",
        "share/man/man1/lote.1": "page\n",
    }
    assert maturin.made == [{}, words]
    assert maturin.settings == [({"a": "b"}, "metadata")] * 2


def test_a_wheel_for_another_machine_goes_without(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    maturin = build(place, monkeypatch, "\x7fELF of another machine")
    assert maturin.made == [{}]
    assert "the command cannot be run here: " in capsys.readouterr().out
