"""That no more of a run is in memory than a piece of it, however many requests it has."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, Dict

import lote_batch as lote

#: Makes so many requests, each of a kilobyte, runs some of them, and reads their results; says how much memory that took at the most.
PROGRAM = """
import json, resource, sys
import lote_batch as lote

made = 0

def requests():
    global made
    for n in range(int(sys.argv[2])):
        text = f"{n}: " + "x" * 1000
        made += 1
        yield {"custom_id": f"r-{n}", "body": {"model": "m", "messages": [{"role": "user", "content": text}]}}

most = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
before = most()
run = lote.run(requests(), dir=sys.argv[3], base_url=sys.argv[1], api_key="any-key", limit=2000)
count = sum(result.custom_id == f"r-{n}" for n, result in enumerate(run.results()))
print(json.dumps({"mebibytes": most() - before, "made": made, "results": count}))
"""


def test_a_hundred_thousand_requests_are_never_held(gateway: lote.Gateway) -> None:
    # All of them are made and go to the command, and so few from there to the gateway that the test takes no minutes.
    words = [sys.executable, "-c", PROGRAM, gateway.url, "100000", "many.run"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    said: Dict[str, Any] = json.loads(done.stdout)
    # They are 100 MB.
    assert (said["made"], said["results"]) == (100_000, 2_000) and said["mebibytes"] < 24, said
