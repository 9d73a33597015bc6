"""Writes one result for each request, in the order of the requests, without holding the answers: a first reading of the
answers notes where each stands.

Usage: join_offsets.py REQUESTS OUTPUT ERRORS RESULTS
"""

import sys

import orjson

requests, output, errors, results = sys.argv[1:]
places, files = {}, [open(output, "rb"), open(errors, "rb")]
counts, tokens = {"succeeded": 0, "failed": 0, "missing": 0}, 0
for number, lines in enumerate(files):
    offset = 0
    for text in lines:
        places[orjson.loads(text)["custom_id"]] = (number, offset, len(text))
        offset += len(text)
with open(requests, "rb") as lines, open(results, "wb") as written:
    for text in lines:
        custom_id = orjson.loads(text)["custom_id"]
        place = places.pop(custom_id, None)
        if place is None:
            counts["missing"] += 1
            error = {"code": "missing", "message": "no file answers this request"}
            written.write(orjson.dumps({"id": None, "custom_id": custom_id, "response": None, "error": error}) + b"\n")
            continue
        number, offset, length = place
        files[number].seek(offset)
        answer = files[number].read(length)
        line = orjson.loads(answer)
        good = line["error"] is None and line["response"]["status_code"] < 300
        counts["succeeded" if good else "failed"] += 1
        if good:
            tokens += line["response"]["body"]["usage"]["total_tokens"]
        written.write(answer)
print(", ".join(f"{count} {outcome}" for outcome, count in counts.items()), "with", tokens, "tokens")
