"""Owns the proof that what `lote export` writes is read by what people read tables with: DuckDB, pandas, Polars and
numpy. Needs the full shape of the command, for Parquet.

Usage: tables_python.py LOTE FOLDER. The tables are made in the folder.
"""

import datetime
import json
import math
import pathlib
import subprocess
import sys

import duckdb
import numpy
import pandas
import polars

from checks import check, equal

LOTE, PLACE = sys.argv[1], pathlib.Path(sys.argv[2])
ANSWERS = [
    {"good": True, "n": 1, "score": 0.5, "seen_at": "2026-11-29T17:00:00.25+01:00", "tags": ["a", "b"], "why": "=1+1"},
    {"good": False, "n": -7, "score": 2, "seen_at": "1969-12-31T23:59:59Z", "tags": [], "why": "é, \"quoted\"\nand more"},
]
AT = [
    datetime.datetime(2026, 11, 29, 16, 0, 0, 250_000, tzinfo=datetime.timezone.utc),
    datetime.datetime(1969, 12, 31, 23, 59, 59, tzinfo=datetime.timezone.utc),
]
VECTORS = {"v-0": [0.5, -1.0], "v-2": [2.0, 3.0]}
OURS = ["model", "finish_reason", "input_tokens", "output_tokens", "cost", "error_code", "error_message"]


def answered(custom_id, body):
    response = {"status_code": 200, "body": body}
    return json.dumps({"id": "r", "custom_id": custom_id, "response": response, "error": None})


def failed(custom_id):
    error = {"code": "server_error", "message": "no"}
    return json.dumps({"id": "r", "custom_id": custom_id, "response": None, "error": error})


def write():
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
    lines = []
    for at, answer in enumerate(ANSWERS):
        choices = [{"message": {"content": json.dumps(answer)}, "finish_reason": "stop"}]
        lines.append(answered(f"a-{at}", {"model": "gpt-4.1-mini", "choices": choices, "usage": usage}))
    lines.append(failed("a-2"))
    (PLACE / "chat.jsonl").write_text("\n".join(lines) + "\n")
    lines = []
    for at in range(3):
        data = [{"index": 0, "embedding": VECTORS.get(f"v-{at}")}]
        body = {"data": data, "model": "e-1", "usage": {"prompt_tokens": 1, "total_tokens": 1}}
        lines.append(answered(f"v-{at}", body) if f"v-{at}" in VECTORS else failed(f"v-{at}"))
    (PLACE / "vectors.jsonl").write_text("\n".join(lines) + "\n")
    (PLACE / "rows.csv").write_text("id,Text,zip\n2,drei,007\n0,eins,008\n1,zwei,009\n")


def export(results, output, *flags):
    command = [LOTE, "export", results, "-o", output, "--force", *flags]
    ended = subprocess.run(command, cwd=PLACE, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    equal(f"the exit code of export to {output}", (ended.returncode, ended.stderr), (0, ""))
    return str(PLACE / output)


def is_nothing(value):
    return value is None or value is pandas.NaT or (isinstance(value, float) and math.isnan(value))


def chat(name, columns, read):
    """What each reader makes of the chat table: `read` gives the values of a column."""
    expected = ["custom_id", "outcome", "good", "n", "score", "seen_at", "tags", "why", *OURS]
    equal(f"{name}: the columns", list(columns), expected)
    equal(f"{name}: custom_id", read("custom_id"), ["a-0", "a-1", "a-2"])
    equal(f"{name}: good", [None if is_nothing(value) else bool(value) for value in read("good")], [True, False, None])
    equal(f"{name}: n", [None if is_nothing(value) else int(value) for value in read("n")], [1, -7, None])
    equal(f"{name}: score", [None if is_nothing(value) else value for value in read("score")], [0.5, 2.0, None])
    tags = [None if is_nothing(value) else json.loads(value) for value in read("tags")]
    equal(f"{name}: tags", tags, [["a", "b"], [], None])
    tokens = [None if is_nothing(value) else int(value) for value in read("input_tokens")]
    equal(f"{name}: input_tokens", tokens, [1000, 1000, None])
    cost = [None if is_nothing(value) else value for value in read("cost")]
    equal(f"{name}: cost", cost, [0.00028, 0.00028, None])


def instants(name, values):
    seen = [None if is_nothing(value) else value for value in values]
    equal(f"{name}: at", [value and value.astimezone(datetime.timezone.utc) for value in seen], [*AT, None])


def of_pandas(frame):
    return frame.columns, lambda name: frame[name].tolist()


def of_polars(frame):
    return frame.columns, lambda name: frame[name].to_list()


def of_duckdb(relation):
    return relation.columns, lambda name: [row[0] for row in relation.select(duckdb.ColumnExpression(name)).fetchall()]


write()
parquet = export("chat.jsonl", "chat.parquet")
with check("pandas reads Parquet"):
    frame = pandas.read_parquet(parquet)
    chat("pandas", *of_pandas(frame))
    instants("pandas", [value if is_nothing(value) else value.to_pydatetime() for value in frame["seen_at"]])
    equal("pandas: why", frame["why"].tolist()[:2], [answer["why"] for answer in ANSWERS])
    equal("pandas: the type of output_tokens", frame["output_tokens"].dtype.kind, "f")
with check("Polars reads Parquet"):
    frame = polars.read_parquet(parquet)
    chat("Polars", *of_polars(frame))
    instants("Polars", frame["seen_at"].to_list())
    equal("Polars: the type of n", frame.schema["n"], polars.Int64)
    equal("Polars: the type of at", frame.schema["seen_at"], polars.Datetime("us", "UTC"))
with check("DuckDB reads Parquet"):
    duckdb.sql("set timezone = 'UTC'")
    relation = duckdb.sql(f"select * from '{parquet}'")
    chat("DuckDB", *of_duckdb(relation))
    kinds = dict(zip(relation.columns, map(str, relation.types)))
    expected = {"good": "BOOLEAN", "n": "BIGINT", "score": "DOUBLE", "seen_at": "TIMESTAMP WITH TIME ZONE", "tags": "VARCHAR"}
    equal("DuckDB: the types", {name: kinds[name] for name in expected}, expected)
    micros = duckdb.sql(f"select epoch_us(seen_at) from '{parquet}'").fetchall()
    equal("DuckDB: at", [row[0] for row in micros], [1_795_968_000_250_000, -1_000_000, None])
    total = duckdb.sql(f"select sum(cost), count(*) filter (outcome = 'failed') from '{parquet}'").fetchall()
    equal("DuckDB: a sum", total, [(0.00056, 1)])

beside = export("chat.jsonl", "beside.parquet", "--text", "--rows", "rows.csv", "--id", "a-{{ id }}")
with check("DuckDB knows the columns of rows from ours"):
    relation = duckdb.sql(f"select id, text, zip, custom_id, json_extract_string(text_2, '$.n') from '{beside}'")
    expected = [("2", "drei", "007", "a-2", None), ("0", "eins", "008", "a-0", "1"), ("1", "zwei", "009", "a-1", "-7")]
    equal("the rows", relation.fetchall(), expected)

vectors = export("vectors.jsonl", "vectors.parquet")
lists = [VECTORS["v-0"], None, VECTORS["v-2"]]
with check("vectors are lists of floats"):
    frame = pandas.read_parquet(vectors)
    equal("pandas", [value if is_nothing(value) else list(value) for value in frame["embedding"]], lists)
    equal("pandas: its numbers", frame["embedding"][0].dtype, numpy.dtype("float32"))
    frame = polars.read_parquet(vectors)
    equal("Polars", frame["embedding"].to_list(), lists)
    equal("Polars: its type", frame.schema["embedding"], polars.List(polars.Float32))
    relation = duckdb.sql(f"select embedding from '{vectors}'")
    equal("DuckDB", [row[0] for row in relation.fetchall()], lists)
    equal("DuckDB: its type", str(relation.types[0]), "FLOAT[]")
    sums = duckdb.sql(f"select list_sum(embedding) from '{vectors}'").fetchall()
    equal("DuckDB: their sums", [row[0] for row in sums], [-0.5, None, 5.0])

matrix = export("vectors.jsonl", "vectors.npy")
with check("numpy reads the matrix"):
    array = numpy.load(matrix)
    equal("its shape", (array.shape, array.dtype), ((3, 2), numpy.dtype("<f4")))
    equal("its rows", [array[0].tolist(), array[2].tolist(), bool(numpy.isnan(array[1]).all())], [*VECTORS.values(), True])
    named = [json.loads(line)["custom_id"] for line in (PLACE / "vectors.rows.jsonl").read_text().splitlines()]
    equal("their names", named, ["v-0", "v-1", "v-2"])

text = export("chat.jsonl", "chat.csv", "--raw")
with check("CSV is read by all"):
    frame = pandas.read_csv(text)
    chat("pandas", *of_pandas(frame))
    equal("pandas: why", frame["why"].tolist()[:2], [answer["why"] for answer in ANSWERS])
    chat("Polars", *of_polars(polars.read_csv(text)))
    chat("DuckDB", *of_duckdb(duckdb.sql(f"select * from read_csv('{text}')")))

lines = export("chat.jsonl", "table.jsonl")
with check("JSON lines are read by all"):
    equal("pandas", pandas.read_json(lines, lines=True)["custom_id"].tolist(), ["a-0", "a-1", "a-2"])
    frame = polars.read_ndjson(lines)
    equal("Polars", frame["tags"].to_list(), [["a", "b"], [], None])
    relation = duckdb.sql(f"select tags, n from read_json('{lines}', format = 'newline_delimited')")
    equal("DuckDB", relation.fetchall(), [(["a", "b"], 1), ([], -7), (None, None)])
