"""Ctrl-C in a program that runs requests, and what of its run is kept."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, Any, Dict, List

import lote_batch as lote
import openai
import pytest

#: A program whose run is waited for until Ctrl-C; it says when that may come, and what came of it.
PROGRAM = """
import json, os, signal, sys
import lote_batch as lote

def say(**what):
    print(json.dumps(what), flush=True)

def requests():
    # So many that some of them are with the command before the last one is made.
    for n in range(3000 if sys.argv[3] == "reading" else 3):
        yield {"custom_id": str(n), "body": {"model": "m", "messages": [{"role": "user", "content": sys.argv[2]}]}}
    if sys.argv[3] == "reading":
        say(ready=True)
        signal.pause()

def progress(line):
    if "created" in line:
        say(ready=True)

try:
    run = lote.run(requests(), dir="a.run", base_url=sys.argv[1], api_key="any-key", progress=progress, deadline="60s")
    say(finished=True)
except KeyboardInterrupt as interrupt:
    say(kind=type(interrupt).__name__, text=str(interrupt))
    raise
"""


def begin(gateway: lote.Gateway, text: str, until: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", PROGRAM, gateway.url, text, until]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def next_of(stdout: IO[str]) -> Dict[str, Any]:
    said: Dict[str, Any] = json.loads(stdout.readline())
    return said


def commands_of(program: int) -> List[int]:
    return [int(child) for child in Path(f"/proc/{program}/task/{program}/children").read_text().split()]


def test_ctrl_c_leaves_a_run_that_goes_on(gateway: lote.Gateway, place: Path) -> None:
    with begin(gateway, "[[sleep=3000]] a", "created") as program:
        assert program.stdout is not None and program.stderr is not None
        assert next_of(program.stdout) == {"ready": True}
        # As a terminal does: to the whole group. The command is not in it, and gets one from us.
        os.killpg(program.pid, signal.SIGINT)
        said = next_of(program.stdout)
        stderr = program.stderr.read()
    assert said["kind"] == "KeyboardInterrupt"
    assert "at work goes on, and will be charged" in said["text"] and "lote resume" in said["text"]
    assert f"lote.open({str(place / 'a.run')!r}).resume() goes on with it" in said["text"]
    assert program.returncode == -signal.SIGINT and "KeyboardInterrupt: interrupted; batch" in stderr

    run = lote.open("a.run", **gateway.service)
    status = run.status()
    assert (status.phase, len(status.data["shards"])) == ("stopped", 1)
    batch = status.data["shards"][0]["batch"]
    run.resume()
    assert run.summary is not None and [one["id"] for one in run.summary["batches"]] == [batch]
    assert [result.outcome for result in run.results()] == ["succeeded"] * 3


def test_ctrl_c_while_requests_are_made_sends_nothing(gateway: lote.Gateway, place: Path) -> None:
    with begin(gateway, "a", "reading") as program:
        assert program.stdout is not None and program.stderr is not None
        assert next_of(program.stdout) == {"ready": True}
        program.send_signal(signal.SIGINT)
        said = next_of(program.stdout)
        program.stderr.read()
    assert said["kind"] == "KeyboardInterrupt" and not (place / "a.run").exists()
    # In other words when the command had not begun to listen for it. It reads what this package gives it, and nobody else can.
    assert said["text"] in ("interrupted; the same call begins again", "interrupted before anything was done")


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="only Linux tells of the end of a process that is no child")
def test_a_program_that_is_killed_while_requests_are_made_sends_nothing(gateway: lote.Gateway, place: Path) -> None:
    with begin(gateway, "a" * 300, "reading") as program:
        assert program.stdout is not None and program.stderr is not None
        assert next_of(program.stdout) == {"ready": True}
        (command,) = commands_of(program.pid)
        watched = os.pidfd_open(command)
        program.kill()
        # The command has a session of its own, and ends by what it reads.
        assert select.select([watched], [], [], 60)[0]
        os.close(watched)
    assert not (place / "a.run").exists()
    client = openai.OpenAI(base_url=gateway.openai_url, api_key=gateway.api_key)
    assert list(client.batches.list()) == [] and list(client.files.list()) == []
    # The same call, with all of them.
    with begin(gateway, "a", "created") as program:
        assert program.stdout is not None and program.stderr is not None
        assert [next_of(program.stdout) for _ in range(2)] == [{"ready": True}, {"finished": True}]


def test_a_command_that_is_killed_is_gone_on_with(gateway: lote.Gateway) -> None:
    with begin(gateway, "[[sleep=1000]] a", "created") as program:
        assert program.stdout is not None and program.stderr is not None
        assert next_of(program.stdout) == {"ready": True}
        (command,) = commands_of(program.pid)
        os.kill(command, signal.SIGKILL)
        assert "CrashedError: the command lote was ended by signal 9" in program.stderr.read()
    run = lote.open("a.run", **gateway.service).resume()
    assert run.check() is run


def test_a_second_ctrl_c_does_not_wait(place: Path, tmp_path: Path) -> None:
    # A command that does not heed the first.
    stubborn = tmp_path / "stubborn-lote"
    stubborn.write_text('#!/bin/sh\ntrap "echo told >&2" INT\necho created >&2\nwhile :; do sleep 1; done\n')
    stubborn.chmod(0o755)
    program = PROGRAM.replace("def say(", f"import lote_batch._child as c\nc.find = lambda: {str(stubborn)!r}\n\ndef say(", 1)
    program = program.replace('if "created" in line:', "if True:")
    words = [sys.executable, "-c", program, "http://127.0.0.1:1", "a", "created"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True) as child:
        assert child.stdout is not None
        assert next_of(child.stdout) == {"ready": True}
        child.send_signal(signal.SIGINT)
        # It says that it was told.
        assert next_of(child.stdout) == {"ready": True}
        child.send_signal(signal.SIGINT)
        said = next_of(child.stdout)
        child.communicate()
    assert "the command was killed" in said["text"]


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="who the children are is told by Linux alone")
def test_the_command_is_in_no_group_of_ours(gateway: lote.Gateway) -> None:
    with begin(gateway, "[[sleep=500]] a", "created") as program:
        assert program.stdout is not None
        next_of(program.stdout)
        (command,) = commands_of(program.pid)
        assert os.getpgid(command) == command != os.getpgid(program.pid)
        assert next_of(program.stdout) == {"finished": True}
