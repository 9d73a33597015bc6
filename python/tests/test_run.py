"""Runs from their requests to their results, gone on with and come back to."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import pickle
import sys
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any, Callable, Dict, List

import lote_batch as lote
import pytest
from conftest import Texts, chat
from lote_batch import _binary


def test_a_run_goes_from_requests_to_results(gateway: lote.Gateway, place: Path, texts: Texts) -> None:
    run = lote.run(texts("hello", "wörld 🌍\u2028"), dir="first.run", **gateway.service)
    assert run.dir == place / "first.run"
    assert run.summary is not None and run.summary["succeeded"] == 2
    first, second = run.results()
    assert (first.custom_id, first.outcome, first.succeeded, first.error) == ("q-0", "succeeded", True, None)
    assert first.text is not None and first.text == first.body["choices"][0]["message"]["content"]
    assert second.text is not None and "wörld 🌍" in second.text
    assert first.usage is not None and first.usage.total_tokens == first.body["usage"]["total_tokens"]
    assert (first.status_code, first.model, first.finish_reason, first.texts) == (200, "m-1", "stop", (first.text,))
    status = run.status()
    assert (status.phase, status.finished, status.lines, status.succeeded) == ("finished", True, 2, 2)
    assert status.results is not None and status.results["usage"] == run.summary["usage"]
    assert run.check() is run


def test_the_same_call_again_makes_no_call(lote_gateway: lote.Gateway, texts: Texts) -> None:
    run = lote.run(texts("a"), dir="a.run", **lote_gateway.service)
    before = [result.body for result in run.results()]
    service = lote_gateway.service
    # Nobody is there any more.
    lote_gateway.stop()
    again = lote.run(iter(texts("a")), dir="a.run", **service)
    assert [result.body for result in again.results()] == before
    with pytest.raises(lote.UsageError, match="holds a finished run of something else") as raised:
        lote.run(texts("other"), dir="a.run", **service)
    assert raised.value.run is not None and raised.value.run.dir == run.dir


def test_a_run_of_an_earlier_process_is_opened(gateway: lote.Gateway, texts: Texts) -> None:
    lote.run(texts("a", "b"), dir="a.run", detach=True, **gateway.service)
    run = lote.open("a.run", **gateway.service)
    assert run.status().lines == 2
    assert run.resume() is run
    assert run.status().finished and len(list(run.results())) == 2
    with pytest.raises(lote.UsageError, match="holds no run"):
        lote.open("b.run")
    with pytest.raises(lote.UsageError, match="deadline= is no option of open"):
        lote.open("a.run", deadline="1s")


def test_a_profile_is_named_to_the_next_command_as_well(
    gateway: lote.Gateway, texts: Texts, words: Callable[[], List[str]]
) -> None:
    lote.run(texts("a"), dir="a.run", **gateway.service)
    # There is no such profile, as there is no file of them: what counts is that it is asked for.
    with contextlib.suppress(lote.UsageError):
        lote.open("a.run", profile="nowhere", **gateway.service).resume()
    assert words().count("--profile=nowhere") == 1


def test_a_detached_run_has_no_results_yet(lote_gateway: lote.Gateway, texts: Texts) -> None:
    run = lote.run(texts("[[sleep=60000]] a"), dir="a.run", detach=True, **lote_gateway.service)
    assert run.summary is not None and run.summary["exit_code"] == 5
    assert run.status().phase == "stopped"
    with pytest.raises(lote.UsageError, match="no results yet"):
        next(run.results())
    with pytest.raises(lote.UsageError, match="is stopped, and has no results yet"):
        run.check()
    cancelled = run.cancel()
    assert [result.outcome for result in cancelled.results()] == ["cancelled"]


def test_half_failed_runs_are_results_and_no_exception(gateway: lote.Gateway, texts: Texts) -> None:
    run = lote.run(texts("a", "[[status=500]]", "b", "[[status=400]]"), dir="a.run", **gateway.service)
    results = list(run.results())
    assert [result.custom_id for result in results] == ["q-0", "q-1", "q-2", "q-3"]
    assert [result.outcome for result in results] == ["succeeded", "failed", "succeeded", "failed"]
    failed = results[1]
    assert failed.text is None and failed.usage is None and failed.status_code == 500
    assert failed.error == lote.Failure("server_error", failed.body["error"]["message"])
    with pytest.raises(lote.IncompleteError, match="2 of 4 succeeded, 2 failed") as raised:
        run.check()
    assert raised.value.exit_code == 1 and raised.value.run is run
    assert "server_error" in str(raised.value)


def test_what_failed_is_repaired(gateway: lote.Gateway, texts: Texts) -> None:
    run = lote.run(texts("a", "[[fail=1:503]] b"), dir="a.run", **gateway.service)
    assert [result.succeeded for result in run.results()] in ([True, False], [True, True])
    run.repair(all=True)
    assert run.status().results is not None


def test_a_file_of_requests_is_run_where_it_is(gateway: lote.Gateway, place: Path, texts: Texts) -> None:



    whole = [{"method": "POST", "url": "/v1/chat/completions", **request} for request in texts("a", "b")]
    for name, some in (("q.jsonl", whole[:1]), ("-", whole[1:])):
        Path(name).write_text("".join(f"{json.dumps(line)}\n" for line in some))
    run = lote.run("q.jsonl", **gateway.service)
    assert run.dir == place / "q.run" and len(list(run.results())) == 1
    both = lote.run([Path("q.jsonl"), Path("-")], dir="both.run", **gateway.service)
    assert [result.custom_id for result in both.results()] == ["q-0", "q-1"]
    with pytest.raises(lote.UsageError, match="nowhere.jsonl"):
        lote.run("nowhere.jsonl", **gateway.service)


def test_another_run_of_the_same_is_in_another_folder(gateway: lote.Gateway, place: Path, texts: Texts) -> None:
    whole = [{"method": "POST", "url": "/v1/chat/completions", **request} for request in texts("a")]
    Path("q.jsonl").write_text(json.dumps(whole[0]))
    lote.run("q.jsonl", **gateway.service)
    second = lote.run("q.jsonl", new=True, **gateway.service)
    assert second.dir == place / "q.2.run" and second.status().finished


def test_a_folder_stays_the_same_after_a_change_of_place(
    gateway: lote.Gateway, texts: Texts, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = lote.run(texts("a"), dir="a.run", **gateway.service)
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert len(list(run.results())) == 1


def test_requests_of_other_endpoints(gateway: lote.Gateway) -> None:
    vectors = [{"custom_id": "v", "body": {"model": "e-1", "input": "a text"}}]
    run = lote.run(vectors, dir="v.run", endpoint="embeddings", **gateway.service)
    (result,) = run.results()
    assert result.text is None and result.texts == ()
    assert all(isinstance(number, float) for number in result.body["data"][0]["embedding"])


def test_results_that_are_damaged_are_told_and_written_anew(gateway: lote.Gateway, texts: Texts) -> None:
    run = lote.run(texts("a", "b"), dir="a.run", **gateway.service)
    whole = Path("a.run/results.jsonl").read_bytes()
    Path("a.run/results.jsonl").write_bytes(whole[:-20])
    said = "1 of the lines of results cannot be read, first: .*; resume\\(\\) writes them anew"
    results = run.results()
    assert next(results).custom_id == "q-0"
    with pytest.raises(lote.IncompleteError, match=said):
        next(results)
    with pytest.raises(lote.IncompleteError, match=said):
        run.export("a.csv")
    assert [result.outcome for result in run.resume().results()] == ["succeeded"] * 2
    assert Path("a.run/results.jsonl").read_bytes() == whole


def test_several_answers_are_several_texts(gateway: lote.Gateway) -> None:
    requests = [{"custom_id": "n", "body": {**chat("a"), "n": 2}}]
    (result,) = lote.run(requests, dir="n.run", **gateway.service).results()
    assert result.text is None and len(result.texts) == 2
    with pytest.raises(ValueError, match='result "n"'):
        result.json()


def test_structured_output_is_read_as_json(gateway: lote.Gateway, texts: Texts) -> None:
    schema = {"type": "object", "properties": {"good": {"type": "boolean"}}, "required": ["good"]}
    wanted = {"type": "json_schema", "json_schema": {"name": "v", "strict": True, "schema": {**schema, "additionalProperties": False}}}
    requests: List[Dict[str, Any]] = [{"custom_id": "j", "body": {**chat("good?"), "response_format": wanted}}, *texts("prose")]
    as_json, prose = lote.run(requests, dir="j.run", **gateway.service).results()
    assert isinstance(as_json.json()["good"], bool)
    with pytest.raises(ValueError, match='result "q-0": its text is no JSON'):
        prose.json()


def test_what_is_said_of_a_run_is_passed_on(
    gateway: lote.Gateway, texts: Texts, caplog: pytest.LogCaptureFixture
) -> None:
    said: List[str] = []
    with caplog.at_level(logging.INFO, logger="lote_batch"):
        lote.run(texts("a"), dir="a.run", progress=said.append, **gateway.service)
    assert any("created" in line for line in said)
    assert said == [record.getMessage() for record in caplog.records]


def test_a_progress_that_fails_does_not_stop_a_run(
    gateway: lote.Gateway, texts: Texts, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: str) -> None:
        raise RuntimeError("no place to print to")

    run = lote.run(texts("a"), dir="a.run", progress=fail, **gateway.service)
    assert run.status().finished
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == [
        "progress= failed, and is not called again"
    ]


def test_options_are_those_of_the_command(
    gateway: lote.Gateway, texts: Texts, words: Callable[[], List[str]], place: Path
) -> None:
    options: Dict[str, Any] = {
        "deadline": timedelta(minutes=2),
        "settle_after_loss": timedelta(milliseconds=1500),
        "max_open": 2,
        "metadata": {"team": "a b", "n": 7},
        "batch_field": {"x_tier": "flex"},
        "output": place / "out.jsonl",
        "force": True,
        "detach": False,
        "limit": None,
        "dialect": "openai",
    }
    lote.run(texts("a"), dir="-a.run", **gateway.service, **options)
    given = words()
    for word in (
        "--deadline=120s",
        "--settle-after-loss=1500ms",
        "--max-open=2",
        "--metadata=team=a b",
        "--metadata=n=7",
        '--batch-field=x_tier="flex"',
        f"--output={place / 'out.jsonl'}",
        "--force",
        f"--dir={place / '-a.run'}",
    ):
        assert word in given, given
    assert not any(word.startswith(("--detach", "--limit")) for word in given)


@pytest.mark.parametrize("progress", [True, "print", 3])
def test_a_progress_that_cannot_be_called_is_refused(progress: Any, texts: Texts) -> None:
    with pytest.raises(lote.UsageError, match="progress= is a .*: give a function that takes a line, such as print"):
        lote.run(texts("a"), dir="a.run", api_key="any", progress=progress)
    assert not Path("a.run").exists()


@pytest.mark.skipif(sys.platform == "darwin", reason="it takes no name that is not UTF-8")
def test_a_folder_may_have_a_name_that_is_no_utf8(gateway: lote.Gateway, texts: Texts) -> None:
    run = lote.run(texts("a"), dir="caf\udce9.run", **gateway.service)
    assert run.dir.name == "caf\udce9.run" and len(list(run.results())) == 1
    assert lote.open(os.fsencode(run.dir).decode("utf-8", "surrogateescape")).status().finished


@pytest.mark.parametrize("option", ["json", "help", "version"])
def test_options_that_are_the_packages_own_are_refused(option: str, texts: Texts) -> None:
    options: Dict[str, Any] = {option: True}
    with pytest.raises(lote.UsageError, match=f"{option}= is no option here"):
        lote.run(texts("a"), dir="a.run", **options)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object(), [True], {"a": None}, "a\0b", "half \ud83d"])
def test_values_that_no_command_can_be_given_are_refused(value: object, texts: Texts) -> None:
    with pytest.raises(lote.UsageError):
        lote.run(texts("a"), dir="a.run", dialect=value)
    assert not Path("a.run").exists()


def test_a_run_needs_a_folder(texts: Texts) -> None:
    with pytest.raises(lote.UsageError, match="dir= is not given"):
        lote.run(texts("a"), api_key="any")


def test_runs_in_threads_are_apart(gateway: lote.Gateway, texts: Texts) -> None:
    found: Dict[int, List[str]] = {}

    def one(n: int) -> None:
        run = lote.run(texts(*["a"] * (n + 1)), dir=f"{n}.run", **gateway.service)
        found[n] = [result.custom_id for result in run.results()]

    threads = [threading.Thread(target=one, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {n: len(ids) for n, ids in found.items()} == {0: 1, 1: 2, 2: 3, 3: 4}


def test_the_first_runs_may_be_in_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    # Python's answer to this is wrong when several threads are the first to ask: it is asked while the package is imported.
    def asked(*_: object, **__: object) -> str:
        raise AssertionError("asked by a thread")

    monkeypatch.setattr("sysconfig.get_path", asked)
    monkeypatch.setattr("sysconfig.get_scheme_names", asked)
    assert Path(_binary.find()).exists()


def test_a_pickled_run_has_no_key(gateway: lote.Gateway, texts: Texts) -> None:
    run = lote.run(texts("a"), dir="a.run", base_url=gateway.url, api_key="a-secret-key")
    pickled = pickle.dumps(run)
    assert b"a-secret-key" not in pickled
    assert pickle.loads(pickled).dir == run.dir


def test_reading_results_stops_when_nobody_wants_more(gateway: lote.Gateway, texts: Texts) -> None:
    run = lote.run(texts(*["a"] * 20), dir="a.run", **gateway.service)
    with contextlib.closing(run.results()) as results:
        assert next(results).custom_id == "q-0"
    assert len(list(run.results())) == 20


def faulty(*faults: str) -> lote.Gateway:
    """A gateway of which something goes wrong; each fault as its operation and its effect."""
    text = "".join(f'[[fault]]\non = "{on}"\nnth = 1\neffect = "{effect}"\n' for on, effect in map(str.split, faults))
    Path("faults.toml").write_text(text)
    return lote.gateway(faults="faults.toml", seed=7)


def test_what_is_odd_about_answers_is_an_outcome(texts: Texts) -> None:
    with faulty("output-file missing-lines", "output-file truncated-line") as gateway:
        run = lote.run(texts(*["a"] * 6), dir="a.run", **gateway.service)
        results = list(run.results())
    assert [result.custom_id for result in results] == [f"q-{n}" for n in range(6)]
    by_outcome = {result.outcome: result for result in results}
    assert set(by_outcome) == {"succeeded", "missing", "unreadable"}
    for outcome in ("missing", "unreadable"):
        error = by_outcome[outcome].error
        assert error is not None and error.code == outcome and error.message
    with pytest.raises(lote.IncompleteError, match="1 unreadable, 1 missing"):
        run.check()


def test_a_create_whose_answer_was_lost_is_not_paid_for_twice(texts: Texts) -> None:
    with faulty("create-batch answer-lost") as gateway:
        run = lote.run(texts("a"), dir="a.run", settle_after_loss="1s", **gateway.service)
        assert run.summary is not None and len(run.summary["batches"]) == 1
        assert run.check() is run
    assert gateway.leftovers == []
