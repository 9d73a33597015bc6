"""One call of a published client, as its documentation shows it; or a whole batch.

Usage: client.py openai|mka1 upload|download|get|run URL …
"""

import os
import sys
import time

client, call, url, *rest = sys.argv[1:]
KEY = os.environ["OPENAI_API_KEY"]
if client == "openai":
    import openai

    api = openai.OpenAI(base_url=f"{url}/v1", api_key=KEY, max_retries=0)
    if call == "upload":
        with open(rest[0], "rb") as file:
            print(api.files.create(file=file, purpose="batch").bytes, "bytes")
    elif call == "download":
        with api.files.with_streaming_response.content(rest[0]) as content:
            content.stream_to_file(rest[1])
    elif call == "get":
        print(api.batches.retrieve(rest[0]).id)
    elif call == "run":
        with open(rest[0], "rb") as file:
            sent = api.files.create(file=file, purpose="batch").id
        batch = api.batches.create(input_file_id=sent, endpoint="/v1/chat/completions", completion_window="24h")
        while batch.status not in ("completed", "failed", "expired", "cancelled"):
            time.sleep(0.5)
            batch = api.batches.retrieve(batch.id)
        with api.files.with_streaming_response.content(batch.output_file_id) as content:
            content.stream_to_file(rest[1])
        print(batch.request_counts.completed, "completed")
else:
    from meetkai_mka1 import SDK

    with SDK(server_url=url, bearer_auth=KEY) as api:
        if call == "upload":
            with open(rest[0], "rb") as file:
                sent = {"file_name": "requests.jsonl", "content": file, "content_type": "application/jsonl"}
                print(api.llm.files.upload(file=sent, purpose="batch").bytes_, "bytes")
        elif call == "download":
            with open(rest[1], "wb") as file:
                for piece in api.llm.files.content(file_id=rest[0]).iter_bytes():
                    file.write(piece)
        elif call == "get":
            print(api.llm.batches.get(batch_id=rest[0]).id)
