"""The gateway for tests, and the fixture of pytest."""

from __future__ import annotations

import gc
import json
import os
import select
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Callable, List

import lote_batch as lote
import pytest
from conftest import Texts

FAULTS = '[[fault]]\non = "get-batch"\nnth = 1\neffect = "status"\nstatus = 503\n'


def status_of(url: str) -> int:
    request = urllib.request.Request(url, headers={"authorization": "Bearer any-key"})
    # No proxy is meant for this machine.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=10) as answer:
        return int(answer.status)


def test_a_gateway_is_there_within_its_block() -> None:
    with lote.gateway() as gateway:
        assert gateway.url.startswith("http://127.0.0.1:") and gateway.url in repr(gateway)
        assert gateway.openai_url == gateway.url + "/v1" and gateway.mka1_url == gateway.url + "/api/v1/llm"
        for url in (gateway.openai_url, gateway.mka1_url):
            assert status_of(f"{url}/batches") == 200
        url = gateway.openai_url
    with pytest.raises(urllib.error.URLError):
        status_of(f"{url}/batches")
    with pytest.raises(lote.UsageError, match="within its with block"):
        gateway.url
    assert repr(gateway) == "Gateway()"


def test_a_gateway_can_be_started_again(texts: Texts) -> None:
    gateway = lote.gateway(seed=7)
    for name in ("a.run", "b.run"):
        with gateway:
            assert lote.run(texts("a"), dir=name, **gateway.service).status().finished
    gateway.stop()
    assert gateway.start() is gateway
    with pytest.raises(lote.UsageError, match="started already"):
        gateway.start()
    gateway.stop()


def test_both_dialects_are_served(texts: Texts, gateway: lote.Gateway) -> None:
    for name, url in (("mka1", gateway.mka1_url), ("openai", gateway.openai_url)):
        run = lote.run(texts(name), dir=f"{name}.run", base_url=url, api_key="any-key", dialect=name)
        assert run.check().status().data["base_url"] == url


def test_keys_are_in_no_command_line(texts: Texts, words: Callable[[], List[str]]) -> None:
    with lote.gateway(key=["first-secret-key", "other-secret-key"]) as gateway:
        assert gateway.data["keys"] == 2 and gateway.api_key == "first-secret-key"
        assert lote.run(texts("a"), dir="a.run", **gateway.service).status().finished
        assert [word for word in words() if word.startswith("--key-file=/dev/fd/")]
    assert not any("secret-key" in word for word in words())
    for key in ("", "two words", "#", "half \ud83d", "a\x00", 7, ["a", 7]):
        with pytest.raises(lote.UsageError, match="key="):
            lote.gateway(key=key)


def test_a_child_that_is_forked_takes_no_keys_with_it() -> None:
    program = (
        "import os, sys, lote_batch as lote\n"
        "with lote.gateway(key='first-secret-key') as gateway:\n"
        "    if os.fork() == 0: sys.exit()\n"
        "    assert os.wait()[1] == 0\n"
        "    requests = [{'custom_id': 'a', 'body': {'model': 'm', 'messages': [{'role': 'user', 'content': 'hi'}]}}]\n"
        "    print(lote.run(requests, dir='a.run', **gateway.service).status().phase)\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr, done.returncode) == ("finished\n", "", 0)


def test_a_gateway_that_cannot_start_says_why(gateway: lote.Gateway) -> None:
    with pytest.raises(lote.UsageError, match="nowhere.toml: cannot be read"):
        lote.gateway(faults="nowhere.toml").start()
    with pytest.raises(lote.UsageError, match="unexpected argument '--fault'"):
        lote.gateway(fault=1).start()
    with pytest.raises(lote.UsageError, match="the port is in use"):
        lote.gateway(listen=gateway.url.removeprefix("http://")).start()


def test_a_gateway_that_ends_by_itself_is_an_error() -> None:
    with pytest.raises(lote.LoteError, match="ended by"):
        with lote.gateway() as gateway:
            child: Any = gateway._child
            child.kill()
            child.wait()


def test_an_error_in_the_block_is_the_one_that_is_seen() -> None:
    with pytest.raises(LookupError):
        with lote.gateway() as gateway:
            child: Any = gateway._child
            child.kill()
            raise LookupError


def is_there(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_gateway_ends_with_its_program() -> None:
    program = "import lote_batch as lote; gateway = lote.gateway().start(); print(gateway._child.pid)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert not is_there(int(done.stdout))
    gateway = lote.gateway().start()
    child: Any = gateway._child
    del gateway
    gc.collect()
    assert child.poll() is not None


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="only Linux tells of the end of a process that is no child")
def test_a_gateway_ends_with_a_program_that_is_killed() -> None:
    program = "import time, lote_batch as lote; gateway = lote.gateway().start(); print(gateway._child.pid, flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        watched = os.pidfd_open(int(child.stdout.readline()))
        child.kill()
    assert select.select([watched], [], [], 60)[0]
    os.close(watched)


def test_faults_are_met_and_those_left_over_are_told(texts: Texts, place: Path) -> None:
    Path("faults.toml").write_text(FAULTS)
    with lote.gateway(faults="faults.toml", seed=7) as gateway:
        pass
    assert len(gateway.leftovers) == 1
    with gateway:
        assert lote.run(texts("a"), dir="a.run", **gateway.service).status().finished
    assert gateway.leftovers == []


def test_the_fixture_is_found_by_its_entry_point(pytester: pytest.Pytester) -> None:
    pytester.makefile(".toml", faults=FAULTS)
    pytester.makepyfile(
        test_theirs="""
        import lote_batch as lote
        import pytest

        def test_it_works(lote_gateway, tmp_path):
            requests = [{"custom_id": "a", "body": {"model": "m", "messages": [{"role": "user", "content": "hi"}]}}]
            run = lote.run(requests, dir=tmp_path / "a.run", **lote_gateway.service)
            assert run.check()

        @pytest.mark.lote_gateway(key="mine")
        def test_it_has_options(lote_gateway):
            assert lote_gateway.api_key == "mine"

        @pytest.mark.lote_gateway(faults="faults.toml")
        def test_it_is_left_with_faults(lote_gateway):
            pass
        """
    )
    result = pytester.runpytest_subprocess("--strict-markers", "-W", "error")
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(["*the gateway was left with: *"])
    assert "lote_gateway(**options)" in pytester.runpytest_subprocess("--markers").stdout.str()
    assert json.dumps(result.errlines) == "[]"
