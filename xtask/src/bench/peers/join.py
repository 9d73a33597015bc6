"""Settles requests by their answers: how many succeeded, failed, and are missing, and the tokens that were used.
Writes no results.

Usage: join.py json|orjson REQUESTS OUTPUT ERRORS
"""

import sys

loads = __import__(sys.argv[1]).loads
requests, *answers = sys.argv[2:]
outcomes, tokens = {}, 0
with open(requests, "rb") as lines:
    for text in lines:
        custom_id = loads(text)["custom_id"]
        if custom_id in outcomes:
            sys.exit(f"{custom_id} is there twice")
        outcomes[custom_id] = "missing"
for path in answers:
    with open(path, "rb") as lines:
        for text in lines:
            line = loads(text)
            response = line["response"]
            good = line["error"] is None and response is not None and response["status_code"] < 300
            if line["custom_id"] not in outcomes:
                sys.exit("an answer to no request")
            outcomes[line["custom_id"]] = "succeeded" if good else "failed"
            if good:
                tokens += response["body"]["usage"]["total_tokens"]
counts = {"succeeded": 0, "failed": 0, "missing": 0}
for outcome in outcomes.values():
    counts[outcome] += 1
print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()), "with", tokens, "tokens")
