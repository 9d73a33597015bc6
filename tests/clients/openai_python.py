"""Owns the run of openai-python, unchanged and with strict validation, against the gateway at the URL it is given."""

import sys

import openai
from checks import ENDPOINT, check, equal, lines, refused, statuses, wait

client = openai.OpenAI(
    api_key="sk-openai-python",
    base_url=f"{sys.argv[1]}/v1",
    max_retries=0,
    timeout=20,
    organization="org-checks",
    project="proj_checks",
    _strict_response_validation=True,
)


def upload(content):
    return client.files.create(file=("input.jsonl", content), purpose="batch")


def create(file, **more):
    return client.batches.create(input_file_id=file.id, endpoint=ENDPOINT, completion_window="24h", **more)


def ended(batch, *ends):
    return wait(lambda: client.batches.retrieve(batch.id), *ends)


with check("upload"):
    content = lines("one", "two", "three")
    good = client.files.create(
        file=("input.jsonl", content),
        purpose="batch",
        expires_after={"anchor": "created_at", "seconds": 86400},
    )
    equal("the file", (good.object, good.purpose, good.bytes), ("file", "batch", len(content)))
    equal("its life", good.expires_at - good.created_at, 86400)
with check("file, its content, and the list of files"):
    equal("the file", client.files.retrieve(good.id), good)
    equal("its content", client.files.content(good.id).content, content)
    equal("the list", [file.id for file in client.files.list(purpose="batch")], [good.id])
with check("create"):
    batch = create(
        good,
        metadata={"run": "7"},
        output_expires_after={"anchor": "created_at", "seconds": 3600},
    )
    equal("the batch", (batch.object, batch.input_file_id, batch.metadata), ("batch", good.id, {"run": "7"}))
with check("a batch whose lines all succeed"):
    batch = ended(batch, "completed")
    counts = batch.request_counts
    equal("the counts", (counts.total, counts.completed, counts.failed), (3, 3, 0))
    equal("the error file", batch.error_file_id, None)
    equal("the model", batch.model, "small")
    found = statuses(client.files.content(batch.output_file_id).text)
    equal("the results", found, {"line-0": 200, "line-1": 200, "line-2": 200})
    output = client.files.retrieve(batch.output_file_id)
    equal("the purpose of the output file", output.purpose, "batch_output")
    equal("the life of the output file", output.expires_at - output.created_at, 3600)
with check("cancel of a completed batch: 409 with a body that parses"):
    with refused(openai.ConflictError, 409) as caught:
        client.batches.cancel(batch.id)
    error = caught[0]
    equal("the error", (error.type, error.param, error.code), ("invalid_request_error", None, None))
    equal("that the message names the status", "completed" in error.message, True)
    equal("that there is a request id", bool(error.request_id), True)
with check("a batch with one line that fails"):
    mixed = ended(create(upload(lines("one", "[[status=400]] two", "three"))), "completed")
    counts = mixed.request_counts
    equal("the counts", (counts.total, counts.completed, counts.failed), (3, 2, 1))
    found = statuses(client.files.content(mixed.output_file_id).text)
    equal("the output file", found, {"line-0": 200, "line-2": 200})
    found = statuses(client.files.content(mixed.error_file_id).text)
    equal("the error file", found, {"line-1": 400})
with check("a batch whose input file is bad"):
    failed = ended(create(upload(lines("one") + lines("two"))), "failed")
    finding = failed.errors.data[0]
    equal("the finding", (failed.errors.object, finding.line, finding.code), ("list", 2, "duplicate_custom_id"))
with check("cancel of a running batch"):
    running = ended(create(upload(lines("[[sleep=20000]] one"))), "in_progress")
    equal("that it stops", client.batches.cancel(running.id).status in ("cancelling", "cancelled"), True)
    ended(running, "cancelled")
with check("list of batches, page by page"):
    made = [batch.id, mixed.id, failed.id, running.id]
    equal("all pages", [one.id for one in client.batches.list(limit=1)], made[::-1])
    page = client.batches.list(limit=3)
    equal("the first page", ([one.id for one in page.data], page.has_more), (made[:0:-1], True))
    page = page.get_next_page()
    equal("the second page", ([one.id for one in page.data], page.has_more), (made[:1], False))
with check("delete, and what is gone"):
    equal("the answer", client.files.delete(good.id).deleted, True)
    for gone in (client.files.retrieve, client.files.content, client.files.delete):
        with refused(openai.NotFoundError, 404):
            gone(good.id)
with check("a stranger sees nothing"):
    stranger = client.with_options(api_key="sk-stranger")
    equal("the list", list(stranger.batches.list()), [])
    with refused(openai.NotFoundError, 404):
        stranger.batches.retrieve(batch.id)
    with refused(openai.NotFoundError, 404):
        stranger.files.content(batch.output_file_id)
with check("a bad request: 400"):
    with refused(openai.BadRequestError, 400):
        client.batches.create(input_file_id=output.id, endpoint="/v1/none", completion_window="24h")
