"""Owns how the checks of a Python client are told, and the lines they send; never a client."""

import contextlib
import json
import sys
import time

ENDPOINT = "/v1/chat/completions"


class Unexpected(Exception):
    """What was seen is not what was expected."""


def name_of_client():
    return sys.argv[0].rsplit("/", 1)[-1].removesuffix(".py").replace("_", "-")


@contextlib.contextmanager
def check(what):
    """One line per check; the first that fails ends the program."""
    client = name_of_client()
    try:
        yield
    # Whatever a client raises is a finding, errors of its parser above all.
    except Exception as error:  # noqa: BLE001
        text = " ".join(str(error).split())[:2000]
        print(f"failed: {client}: {what}: {type(error).__name__}: {text}", flush=True)
        sys.exit(1)
    print(f"ok: {client}: {what}", flush=True)


def equal(what, seen, expected):
    if seen != expected:
        raise Unexpected(f"{what} is {seen!r}, not {expected!r}")


@contextlib.contextmanager
def refused(kind, status):
    """The client must raise this kind of error with this status; what it raised is in the list."""
    caught = []
    try:
        yield caught
    except kind as error:
        caught.append(error)
        equal("the status of the error", error.status_code, status)
    else:
        raise Unexpected(f"no {kind.__name__} was raised")


def lines(*prompts):
    """An input file: one request line for each prompt, with custom_ids line-0, line-1, …"""
    def line(number, prompt):
        body = {"model": "small", "messages": [{"role": "user", "content": prompt}]}
        return json.dumps({"custom_id": f"line-{number}", "method": "POST", "url": ENDPOINT, "body": body})

    return "".join(line(number, prompt) + "\n" for number, prompt in enumerate(prompts)).encode()


def statuses(content):
    """The HTTP status of each result line, by custom_id."""
    results = [json.loads(line) for line in content.splitlines()]
    found = {result["custom_id"]: result["response"]["status_code"] for result in results}
    equal("the number of different custom_ids", len(found), len(results))
    return found


def wait(get, *ends, seconds=20):
    """Asks until the status is one of the ends."""
    deadline = time.monotonic() + seconds
    while (batch := get()).status not in ends:
        if time.monotonic() > deadline:
            raise Unexpected(f"the batch is still {batch.status} after {seconds} s")
        time.sleep(0.05)
    return batch
