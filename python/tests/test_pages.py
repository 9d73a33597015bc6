"""The code of the pages, as it is printed and in its order."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any, Dict, Iterator, List, Tuple

import lote_batch as lote
import openai
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def blocks(page: str) -> List[Tuple[str, str]]:
    """The blocks of Python of a page, each with the word behind the language."""
    text = (REPOSITORY / page).read_text(encoding="utf-8")
    found = re.findall(r"^```python(?: (\w+))?\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    assert found, page
    return found


@pytest.fixture
def service(gateway: lote.Gateway, monkeypatch: pytest.MonkeyPatch) -> Iterator[lote.Gateway]:
    """The service of the environment, for which a day is short."""
    monkeypatch.setenv("LOTE_BASE_URL", gateway.url)
    monkeypatch.setenv("LOTE_API_KEY", gateway.api_key)
    monkeypatch.setenv("OPENAI_BASE_URL", gateway.openai_url)
    monkeypatch.setenv("OPENAI_API_KEY", gateway.api_key)
    sleep = time.sleep
    monkeypatch.setattr("time.sleep", lambda seconds: sleep(min(seconds, 0.05)))
    yield gateway


def play(page: str, names: Dict[str, Any], word: str, code: str) -> None:
    exec(compile(code, f"{page} {word}", "exec"), names)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_guide(service: lote.Gateway, capsys: pytest.CaptureFixture[str]) -> None:
    names: Dict[str, Any] = {}
    by_word: Dict[str, Any] = {}
    for word, code in blocks("docs/guide/python.md"):
        if word == "pytest":
            Path("test_theirs.py").write_text(code)
            subprocess.run([sys.executable, "-m", "pytest", "-W", "error", "test_theirs.py"], check=True)
            continue
        play("docs/guide/python.md", names, word, code)
        by_word[word] = names.get("answers")
        if word:
            # The long way, and the short one.
            count = len([line for line in code.splitlines() if line.strip()])
            assert (34 <= count <= 44) if word == "openai" else count == 2, f"{word}: {count} lines"
    assert set(by_word) == {"", "openai", "lote"}
    for word, answers in by_word.items():
        assert answers["ticket"].tolist() == ["T1", "T2", "T3"], word
        assert answers["text"].notna().all(), word
    printed = capsys.readouterr().out
    assert "finished" in printed and "failed server_error" in printed and "0 of 1 succeeded, 1 failed" in printed


def test_what_the_guide_imports_is_what_it_installs() -> None:
    page = "docs/guide/python.md"
    code = "\n".join(code for word, code in blocks(page) if word not in ("openai", "pytest"))
    imported = {name.partition(".")[0] for name in re.findall(r"^(?:from|import) ([\w.]+)", code, re.MULTILINE)}
    found = re.search(r"^pip install './python\[(.*)\]'$", (REPOSITORY / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert found is not None
    extras = set(found[1].split(","))
    assert imported - set(sys.stdlib_module_names) == {"lote_batch"} | extras
    settings = tomllib.loads((REPOSITORY / "python/pyproject.toml").read_text(encoding="utf-8"))
    assert extras <= set(settings["project"]["optional-dependencies"])


def test_what_goes_wrong_is_told_in_the_words_of_the_guide(service: lote.Gateway, place: Path) -> None:
    said: List[str] = []

    def run(text: str, folder: str, **options: Any) -> None:
        body = {"model": "m", "messages": [{"role": "user", "content": text}]}
        try:
            lote.run([{"custom_id": "a", "body": body}], dir=folder, **options)
        except lote.UsageError as error:
            said.append(str(error))

    text = "[[sleep=300]] hi"
    run(text, "a.run", progress=lambda line: run(text, "a.run") if "created" in line else None)
    run("other", "a.run")
    (place / "elsewhere").mkdir()
    Path("a.run").rename("elsewhere/a.run")
    run(text, "a.run")
    run("other", "b.run", an_option=1)
    table = (REPOSITORY / "docs/guide/python.md").read_text(encoding="utf-8").partition("## What goes wrong")[2]
    quoted = re.findall(r'^\| "([^"]+)" \|', table, re.MULTILINE)
    assert len(said) == len(quoted) == 4
    for words in quoted:
        assert len([one for one in said if words in one]) == 1, (words, said)


def test_the_guide_names_the_version_that_is_run() -> None:
    version = ".".join(openai.__version__.split(".")[:2])
    assert f"openai-python {version}:" in (REPOSITORY / "docs/guide/python.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", ["README.md", "python/README.md"])
def test_the_readmes(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    # Without a service, and so with nothing set.
    assert not [name for name in os.environ if name.startswith("LOTE_") and name != "LOTE_BIN"]
    names: Dict[str, Any] = {}
    for word, code in blocks(page):
        play(page, names, word, code)
    assert "succeeded" in capsys.readouterr().out
    assert names["run"].check()
