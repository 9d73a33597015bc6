"""Every exit code is an exception of its own, which says what to do and shows no key."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any, Dict, Type

import lote_batch as lote
import pytest
from conftest import Texts
from lote_batch import errors
from lote_batch._child import failed

KEY = "sk-very-secret-7"


def test_each_exit_code_has_a_class_of_its_own() -> None:
    classes = {code: type(failed(code, "why", [], None)) for code in (1, 2, 3, 4, 5, 6, 130)}
    assert classes == errors.BY_EXIT_CODE
    assert all(kind.exit_code == code for code, kind in classes.items())
    crashed = failed(-9, "", [], None)
    assert isinstance(crashed, lote.CrashedError) and "by signal 9: it said nothing" in str(crashed)
    assert failed(101, "panicked", [], None).exit_code == 101


@pytest.mark.parametrize("kind", [*errors.BY_EXIT_CODE.values(), lote.CrashedError, lote.RequestError])
def test_errors_can_be_pickled(kind: Type[lote.LoteError]) -> None:
    error = kind("why", ["what to do"], {"findings": [1]}, lote.Run("a.run"))
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind and str(again) == "why\nwhat to do"
    assert again.data == error.data and again.run is not None and again.run.dir == lote.Run("a.run").dir


def test_an_unknown_option_is_named(texts: Texts) -> None:
    with pytest.raises(lote.UsageError, match="'--dead-line'") as raised:
        lote.run(texts("a"), dir="a.run", api_key="any", dead_line="1h")
    assert raised.value.exit_code == 2 and "'--deadline'" in str(raised.value)
    assert "Usage" not in str(raised.value) and "--help'" not in str(raised.value)
    with pytest.raises(lote.UsageError, match="invalid value 'soon'"):
        lote.run(texts("a"), dir="a.run", api_key="any", deadline="soon")


def test_a_key_that_is_missing_is_told(texts: Texts, gateway: lote.Gateway) -> None:
    for key in (None, "", " "):
        with pytest.raises(lote.UsageError, match="no API key: set LOTE_API_KEY"):
            lote.run(texts("a"), dir="a.run", base_url=gateway.url, api_key=key)


def test_settings_of_the_environment_are_taken(
    texts: Texts, gateway: lote.Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOTE_BASE_URL", gateway.url)
    monkeypatch.setenv("LOTE_API_KEY", KEY)
    assert lote.run(texts("a"), dir="a.run").status().finished


def test_a_service_that_is_not_there_is_exit_4(texts: Texts) -> None:
    with pytest.raises(lote.ServiceError, match="could not reach http://127.0.0.1:1/") as raised:
        lote.run(texts("a"), dir="a.run", base_url="http://127.0.0.1:1", api_key=KEY, retries=0)
    assert raised.value.exit_code == 4
    # Nothing was begun: the same call may be made again, at another service too.
    assert raised.value.run is None and not Path("a.run/run.json").exists()


@pytest.mark.lote_gateway(key="the-only-key")
def test_a_key_that_is_refused_is_exit_4(texts: Texts, lote_gateway: lote.Gateway) -> None:
    with pytest.raises(lote.ServiceError, match="401") as raised:
        lote.run(texts("a"), dir="a.run", base_url=lote_gateway.url, api_key=KEY)
    shows_no_key(raised)
    assert lote.run(texts("a"), dir="a.run", **lote_gateway.service).status().finished


def test_a_deadline_that_is_over_is_exit_5(texts: Texts, gateway: lote.Gateway) -> None:
    with pytest.raises(lote.GaveUpError) as raised:
        lote.run(texts("[[sleep=60000]] a"), dir="a.run", deadline="1s", **gateway.service)
    error = raised.value
    assert error.exit_code == 5 and error.data is not None and len(error.data["batches"]) == 1
    assert any("lote resume" in line for line in error.details)
    assert error.run is not None
    # The run knows its service.
    assert [result.outcome for result in error.run.cancel().results()] == ["cancelled"]


def test_a_run_of_other_requests_is_not_written_over(texts: Texts, gateway: lote.Gateway) -> None:
    lote.run(texts("a"), dir="a.run", **gateway.service)
    with pytest.raises(lote.UsageError) as raised:
        lote.run(texts("b"), dir="a.run", **gateway.service)
    assert raised.value.run is not None


def test_an_embedded_gateway_and_a_service_are_not_both_given(texts: Texts) -> None:
    with pytest.raises(lote.UsageError, match="embedded=True and api_key= were both given"):
        lote.run(texts("a"), dir="a.run", embedded=True, api_key=KEY)
    assert lote.run(texts("a"), dir="a.run", embedded=True).resume().status().finished


def shows_no_key(raised: pytest.ExceptionInfo[lote.LoteError]) -> None:
    error = raised.value
    shown = [str(error), repr(error), repr(error.run), repr(error.data), repr(vars(error))]
    frames = traceback.StackSummary.extract(traceback.walk_tb(raised.tb), capture_locals=True)
    # All variables of this package, at every level.
    ours = [frame for frame in frames if f"{os.sep}lote_batch{os.sep}" in frame.filename]
    assert ours
    shown += [repr(frame.locals) for frame in ours if frame.name not in ("run", "resume")]
    assert not [text for text in shown if KEY in text]


def test_the_key_is_in_no_command_line(
    texts: Texts, gateway: lote.Gateway, words: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = lote.run(texts("a"), dir="a.run", base_url=gateway.url, api_key=KEY)
    run.resume()
    given = words()
    assert "run" in given and "resume" in given and not any(KEY in word or gateway.url in word for word in given)
    assert KEY not in repr(run) and KEY not in repr(vars(run)) and KEY not in repr(run.summary)
    assert not [path for path in run.dir.rglob("*") if path.is_file() and KEY.encode() in path.read_bytes()]


def test_a_key_that_the_command_would_say_is_blanked(
    texts: Texts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "telling-lote"
    program.write_text('#!/bin/sh\necho "error: the key $LOTE_API_KEY is bad" >&2\necho "{\\"key\\": \\"$LOTE_API_KEY\\"}"\nexit 4\n')
    program.chmod(0o755)
    monkeypatch.setattr("lote_batch._child.find", lambda: str(program))
    with pytest.raises(lote.ServiceError, match=r"the key \*\*\* is bad") as raised:
        lote.run(texts("a"), dir="a.run", api_key=KEY)
    assert raised.value.data == {"key": "***"}
    shows_no_key(raised)


def test_a_command_that_is_told_to_stop_by_others_is_exit_130(texts: Texts, gateway: lote.Gateway) -> None:
    def end_it(line: str) -> None:
        if "created" in line:
            children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
            for child in children.read_text().split():
                if b"\0run\0" in Path(f"/proc/{child}/cmdline").read_bytes():
                    os.kill(int(child), signal.SIGTERM)

    with pytest.raises(lote.StoppedError, match="interrupted; batch") as raised:
        lote.run(texts("[[sleep=60000]] a"), dir="a.run", progress=end_it, **gateway.service)
    assert raised.value.run is not None
    raised.value.run.cancel()


def test_without_a_command_it_is_told_how_to_get_one(tmp_path: Path) -> None:
    program = (
        "import lote_batch._binary as b, lote_batch as lote\n"
        "b._of_the_wheel = lambda: []\n"
        "try: lote.open('a.run')\n"
        "except lote.CommandNotFoundError as error: print(error)\n"
    )

    def said(**settings: str) -> str:
        environment: Dict[str, str] = {**os.environ, **settings}
        done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
        return done.stdout

    assert "is not beside this package, nor on PATH" in said(PATH=str(tmp_path), LOTE_BIN="")
    assert "LOTE_BIN=/nowhere: there is no program" in said(LOTE_BIN="/nowhere")
