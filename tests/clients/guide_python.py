"""Owns the run of the Python code that the guide shows, as it is printed and in its order, with openai-python against the
gateway at the URL it is given; never code of its own but what makes a day short."""

import os
import pathlib
import re
import sys
import tempfile
import time

import openai
from checks import check, equal

PAGE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "guide" / "moving.md"

page = PAGE.read_text(encoding="utf-8")
blocks = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
with check("the guide shows Python, and names its version"):
    equal("that there are blocks", len(blocks) > 5, True)
    version = ".".join(openai.__version__.split(".")[:2])
    equal(f"that it names {version}", f"openai-python {version}." in page, True)

os.environ["OPENAI_BASE_URL"] = f"{sys.argv[1]}/v1"
os.environ["OPENAI_API_KEY"] = "sk-guide"
sleep = time.sleep
time.sleep = lambda seconds: sleep(min(seconds, 0.05))
names = {}
with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    for number, block in enumerate(blocks, 1):
        with check(f"moving.md, Python block {number}"):
            exec(compile(block, f"{PAGE.name}, Python block {number}", "exec"), names)
    os.chdir("/")
with check("what came of it"):
    equal("the batch", (names["batch"].status, names["batch"].metadata), ("completed", {"run": "7"}))
    equal("the answers", sorted(names["texts"]), ["q-0", "q-1"])
