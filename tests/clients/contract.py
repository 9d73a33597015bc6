"""Owns the run of schemathesis from the contract against one prefix of the gateway; never what the contract says.

Usage: contract.py CONTRACT BASE_URL. What it and schemathesis write goes to the current folder.
"""

import json
import pathlib
import subprocess
import sys

import openai
import yaml
from checks import ENDPOINT, lines, wait

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,use_after_free"
KEY, USER = "sk-contract", "user-7"


def seeds(base_url):
    """Ids to ask for: with made-up ones alone, hardly an operation would answer anything but 404."""
    client = openai.OpenAI(
        api_key=KEY,
        base_url=base_url,
        max_retries=0,
        timeout=20,
        default_headers={"X-On-Behalf-Of": USER},
    )

    def upload(*prompts):
        return client.files.create(file=("input.jsonl", lines(*prompts)), purpose="batch").id

    def batch(file, *ends):
        made = client.batches.create(input_file_id=file, endpoint=ENDPOINT, completion_window="24h")
        return wait(lambda: client.batches.retrieve(made.id), *ends)

    good = upload("one", "two")
    ended = batch(upload("one", "[[status=400]] two"), "completed")
    failed = batch(upload(""), "completed", "failed")
    running = batch(upload("[[sleep=60000]] one"), "in_progress")
    files = [good, ended.output_file_id, ended.error_file_id]
    return files, [upload("three") for _ in range(20)], [ended.id, failed.id, running.id]


def configuration(files, doomed, batches):
    def chosen(name, probability):
        return f'{{ dictionary = "{name}", probability = {probability} }}'

    # JSON's arrays of strings are TOML's.
    return f"""
[dictionaries]
files = {{ values = {json.dumps(files)} }}
doomed = {{ values = {json.dumps(doomed)} }}
batches = {{ values = {json.dumps(batches)} }}
users = {{ values = ["{USER}"] }}
[parameters]
"header.X-On-Behalf-Of" = {chosen("users", 0.8)}
"path.file_id" = {chosen("files", 0.5)}
"path.batch_id" = {chosen("batches", 0.5)}
"query.after" = {chosen("batches", 0.3)}
"body.input_file_id" = {chosen("files", 0.5)}
[[operations]]
include-method = "DELETE"
parameters = {{ "path.file_id" = {chosen("doomed", 0.5)} }}
"""


def without_default(contract):
    """The contract less its `default` responses, which would make any status a documented one."""
    document = yaml.safe_load(pathlib.Path(contract).read_text(encoding="utf-8"))
    for operations in document["paths"].values():
        for operation in operations.values():
            if isinstance(operation, dict):
                del operation["responses"]["default"]
    return json.dumps(document)


def main():
    contract, base_url = sys.argv[1:]
    pathlib.Path("contract.json").write_text(without_default(contract), encoding="utf-8")
    pathlib.Path("schemathesis.toml").write_text(configuration(*seeds(base_url)), encoding="utf-8")
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", "schemathesis.toml", "run", "contract.json"]
    command += ["--url", base_url, "--header", f"Authorization: Bearer {KEY}", "--checks", CHECKS]
    command += ["--seed", "1", "--max-examples", "40", "--generation-database", "none"]
    command += ["--warnings", "off", "--no-color"]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
