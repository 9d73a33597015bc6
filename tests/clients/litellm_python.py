"""Owns the run of LiteLLM as a client against the gateway at the URL it is given; its proxy is never started."""

import os
import sys

# It would ask the internet for a list of prices.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm  # noqa: E402
from checks import ENDPOINT, check, equal, lines, refused, statuses, wait  # noqa: E402

TO = {
    "custom_llm_provider": "openai",
    "api_base": f"{sys.argv[1]}/v1",
    "api_key": "sk-litellm-python",
    "max_retries": 0,
    "timeout": 20,
}


def upload(content):
    return litellm.create_file(file=("input.jsonl", content), purpose="batch", **TO)


def create(file):
    return litellm.create_batch(completion_window="24h", endpoint=ENDPOINT, input_file_id=file.id, **TO)


def ended(batch, *ends):
    return wait(lambda: litellm.retrieve_batch(batch_id=batch.id, **TO), *ends)


def text(file_id):
    return litellm.file_content(file_id=file_id, **TO).content.decode()


with check("upload, the file and its content"):
    content = lines("one", "two", "three")
    good = upload(content)
    equal("the file", (good.object, good.purpose, good.bytes), ("file", "batch", len(content)))
    equal("its content", text(good.id).encode(), content)
with check("a batch whose lines all succeed"):
    batch = ended(create(good), "completed")
    counts = batch.request_counts
    equal("the counts", (counts.total, counts.completed, counts.failed), (3, 3, 0))
    equal("the results", statuses(text(batch.output_file_id)), {"line-0": 200, "line-1": 200, "line-2": 200})
with check("a batch with one line that fails"):
    mixed = ended(create(upload(lines("one", "[[status=400]] two", "three"))), "completed")
    equal("the output file", statuses(text(mixed.output_file_id)), {"line-0": 200, "line-2": 200})
    equal("the error file", statuses(text(mixed.error_file_id)), {"line-1": 400})
with check("cancel of a completed batch: 409"):
    with refused(Exception, 409):
        litellm.cancel_batch(batch_id=batch.id, **TO)
with check("cancel of a running batch"):
    running = ended(create(upload(lines("[[sleep=20000]] one"))), "in_progress")
    litellm.cancel_batch(batch_id=running.id, **TO)
    ended(running, "cancelled")
with check("list of batches, page by page"):
    made = [batch.id, mixed.id, running.id]
    page = litellm.list_batches(limit=2, **TO)
    equal("the first page", [one.id for one in page.data], made[:0:-1])
    page = litellm.list_batches(limit=2, after=page.data[-1].id, **TO)
    equal("the second page", [one.id for one in page.data], made[:1])
with check("delete, and what is gone"):
    equal("the answer", litellm.file_delete(file_id=good.id, **TO).deleted, True)
    with refused(Exception, 404):
        litellm.file_retrieve(file_id=good.id, **TO)
