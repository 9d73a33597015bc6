"""Owns the run of openai-python, unchanged and with strict validation, against the gateway at the URL it is given."""

import contextlib
import json
import sys
import time

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
with check("a webhook says that it has ended, and is signed"):
    def told():
        for line in open(sys.argv[2]):
            hook = json.loads(line)
            event = client.webhooks.unwrap(hook["body"], hook["headers"], secret=sys.argv[3])
            if event.data.id == batch.id:
                return event
        return None

    deadline = time.monotonic() + 10
    while (event := told()) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    equal("the event", (event.object, event.type), ("event", "batch.completed"))
    with contextlib.suppress(openai.InvalidWebhookSignatureError):
        hook = json.loads(open(sys.argv[2]).readline())
        client.webhooks.unwrap(hook["body"] + " ", hook["headers"], secret=sys.argv[3])
        raise AssertionError("a changed body was taken")
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
messages = [{"role": "user", "content": "What is 6*7?"}]


def chat(content, client=client, **more):
    asked = [{"role": "user", "content": content}]
    return client.chat.completions.create(model="small", messages=asked, **more)


with check("models"):
    names = [model.id for model in client.models.list()]
    equal("their names", names, ["lote-builtin", "lote-builtin-large"])
    equal("one of them", client.models.retrieve(names[0]).id, names[0])
    with refused(openai.NotFoundError, 404):
        client.models.retrieve("small")
with check("chat, at once, and as the batch answered it"):
    answer = chat("one")
    results = [json.loads(line) for line in client.files.content(batch.output_file_id).text.splitlines()]
    first = next(result for result in results if result["custom_id"] == "line-0")
    equal("the choices", answer.to_dict()["choices"], first["response"]["body"]["choices"])
    equal("that there is a request id", bool(answer._request_id), True)
with check("chat, streamed"):
    whole = chat("What is 6*7?", n=2)
    chunks = list(chat("What is 6*7?", n=2, stream=True, stream_options={"include_usage": True}))
    said = {0: "", 1: ""}
    for choice in (choice for chunk in chunks for choice in chunk.choices):
        said[choice.index] += choice.delta.content or ""
    equal("what is said", said, {choice.index: choice.message.content for choice in whole.choices})
    equal("the usage", chunks[-1].usage, whole.usage)
    with client.chat.completions.stream(model="small", messages=messages) as stream:
        equal("what the helper has", stream.get_final_completion().choices[0].message.content, said[0])
with check("responses, whole and streamed"):
    whole = client.responses.create(model="small", input="What is 6*7?")
    equal("the answer", whole.output_text, said[0])
    with client.responses.stream(model="small", input="What is 6*7?") as stream:
        equal("the last event", [event.type for event in stream][-1], "response.completed")
        equal("what the helper has", stream.get_final_response().output_text, whole.output_text)
with check("embeddings"):
    asked = {"model": "small", "input": ["one", "two"], "dimensions": 8}
    vectors = client.embeddings.create(**asked, encoding_format="float")
    equal("their sizes", [len(one.embedding) for one in vectors.data], [8, 8])
    # Strict validation refuses the Base64 that this client asks for by itself.
    packed = openai.OpenAI(api_key=client.api_key, base_url=client.base_url, max_retries=0).embeddings.create(**asked)
    near = [abs(a - b) < 1e-6 for a, b in zip(packed.data[1].embedding, vectors.data[1].embedding, strict=True)]
    equal("that both forms are the same", all(near), True)
with check("images, completions, moderations"):
    equal("the pictures", len(client.images.generate(prompt="a house", model="gpt-image-1", n=2).data), 2)
    stream = client.images.generate(prompt="a house", model="gpt-image-1", stream=True)
    equal("the events of a picture", [event.type for event in stream], ["image_generation.completed"])
    equal("the reason", client.completions.create(model="small", prompt="a").choices[0].finish_reason, "stop")
    equal("what is flagged", client.moderations.create(input="a").results[0].flagged, False)
with check("requests that fail, and one that this client tries again"):
    with refused(openai.RateLimitError, 429) as caught:
        chat("[[status=429]] [[retry-after=7]]", stream=True)
    equal("when to try again", caught[0].response.headers["retry-after"], "7")
    with refused(openai.BadRequestError, 400) as caught:
        client.responses.create(model="small", input="a", temperature=7)
    equal("the param", caught[0].param, "temperature")
    patient = client.with_options(max_retries=2)
    equal("the answer to the third try", chat("[[fail=2:503]] 6*7", patient).choices[0].message.content[:2], "42")
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
