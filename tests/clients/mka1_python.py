"""Owns the run of MKA1's own client, unchanged, against the gateway at the URL it is given, which is its server URL."""

import hashlib
import sys

from checks import ENDPOINT, check, equal, lines, refused, statuses, wait
from meetkai_mka1 import SDK
from meetkai_mka1.errors import SDKError

sdk = SDK(bearer_auth="mk-mka1-python", server_url=sys.argv[1], timeout_ms=20_000)
files, batches = sdk.llm.files, sdk.llm.batches


def upload(content, **more):
    file = {"file_name": "input.jsonl", "content": content, "content_type": "application/jsonl"}
    return files.upload(file=file, purpose="batch", **more)


def create(file, **more):
    return batches.create(input_file_id=file.id, endpoint=ENDPOINT, **more)


def ended(batch, *ends):
    return wait(lambda: batches.get(batch_id=batch.id), *ends)


def text(file_id, **more):
    response = files.content(file_id=file_id, **more)
    response.read()
    return response.text


with check("upload"):
    content = lines("one", "two", "three")
    good = upload(content)
    equal("the file", (good.object, good.purpose, good.bytes_), ("file", "batch", len(content)))
with check("file, its content, its sha256, and the list of files"):
    equal("the file", files.get(file_id=good.id), good)
    equal("its content", text(good.id).encode(), content)
    digest = hashlib.sha256(content).hexdigest()
    equal("the list", [file.id for file in files.list(purpose="batch", sha256=digest).data], [good.id])
    equal("the list of another sha256", files.list(sha256="0" * 64).data, [])
with check("create"):
    batch = create(good, metadata={"run": "7"}, max_concurrency=3)
    equal("the batch", (batch.object, batch.input_file_id, batch.metadata), ("batch", good.id, {"run": "7"}))
    equal("max_concurrency", batch.max_concurrency, 3)
with check("a batch whose lines all succeed"):
    batch = ended(batch, "completed")
    counts = batch.request_counts
    equal("the counts", (counts.total, counts.completed, counts.failed), (3, 3, 0))
    equal("that there is no error file", bool(batch.error_file_id), False)
    equal("the results", statuses(text(batch.output_file_id)), {"line-0": 200, "line-1": 200, "line-2": 200})
    equal("the purpose of the output file", files.get(file_id=batch.output_file_id).purpose, "batch_output")
with check("cancel of a completed batch: 409 with a body that parses"):
    with refused(SDKError, 409) as caught:
        batches.cancel(batch_id=batch.id)
    equal("that the body names the status", "completed" in caught[0].body, True)
with check("a batch with one line that fails"):
    mixed = ended(create(upload(lines("one", "[[status=400]] two", "three"))), "completed")
    counts = mixed.request_counts
    equal("the counts", (counts.total, counts.completed, counts.failed), (3, 2, 1))
    equal("the output file", statuses(text(mixed.output_file_id)), {"line-0": 200, "line-2": 200})
    equal("the error file", statuses(text(mixed.error_file_id)), {"line-1": 400})
with check("a batch whose input file is bad"):
    failed = ended(create(upload(lines("one") + lines("two"))), "failed")
    equal("the finding", (failed.errors.data[0].line, failed.errors.data[0].code), (2, "duplicate_custom_id"))
with check("cancel of a running batch"):
    running = ended(create(upload(lines("[[sleep=20000]] one"))), "in_progress")
    equal("that it stops", batches.cancel(batch_id=running.id).status in ("cancelling", "cancelled"), True)
    ended(running, "cancelled")
with check("list of batches, page by page"):
    made = [batch.id, mixed.id, failed.id, running.id]
    page = batches.list(limit=3)
    equal("the first page", ([one.id for one in page.data], page.has_more), (made[:0:-1], True))
    page = batches.list(limit=3, after=page.last_id)
    equal("the second page", ([one.id for one in page.data], page.has_more), (made[:1], False))
with check("requests that are answered at once"):
    messages = [{"role": "user", "content": "What is 6*7?"}]
    answer = sdk.llm.chat.create_chat(model="small", messages=messages)
    equal("the answer of chat", answer.choices[0].message.content[:2], "42")
    whole = sdk.llm.responses.create(model="small", input="What is 6*7?")
    events = [event.data for event in sdk.llm.responses.create(model="small", input="What is 6*7?", stream=True)]
    equal("the events that it does not know", [event for event in events if event.type == "UNKNOWN"], [])
    said = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    equal("what is said", said, whole.output[0].content[0].text)
    equal("the vectors", len(sdk.llm.embeddings.embed(model="small", input=["one", "two"]).data), 2)
    equal("the pictures", len(sdk.llm.images.create(model="small", prompt="a house").data), 1)
with check("models"):
    names = [model.id for model in sdk.llm.models.list().data]
    equal("their names", names, ["lote-builtin", "lote-builtin-large"])
    equal("one of them", sdk.llm.models.get(model_id=names[0]).id, names[0])
    with refused(SDKError, 404):
        sdk.llm.models.get(model_id="small")
with check("a user on whose behalf it asks has a store of their own"):
    other = upload(lines("one"), x_on_behalf_of="user-7")
    equal("its content", text(other.id, x_on_behalf_of="user-7").encode(), lines("one"))
    with refused(SDKError, 404):
        files.get(file_id=other.id)
    equal("their list", batches.list(x_on_behalf_of="user-7").data, [])
with check("delete, and what is gone"):
    equal("the answer", files.delete(file_id=good.id).deleted, True)
    for gone in (files.get, files.content, files.delete):
        with refused(SDKError, 404):
            gone(file_id=good.id)
