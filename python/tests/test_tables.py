"""Results as DataFrames, and what is said when a library for them is lacking."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import lote_batch as lote
import numpy
import pandas
import polars
import pyarrow
import pytest
from conftest import Texts

COLUMNS = ["custom_id", "outcome", "text", "model", "finish_reason", "input_tokens", "output_tokens"]


@pytest.fixture
def run(gateway: lote.Gateway, texts: Texts) -> lote.Run:
    """A run one of whose two lines has failed."""
    return lote.run(texts("größer?", "[[status=500]]"), dir="a.run", **gateway.service)


def test_results_are_a_dataframe_of_pandas(run: lote.Run) -> None:
    frame = run.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.columns)[: len(COLUMNS)] == COLUMNS
    assert frame["outcome"].tolist() == ["succeeded", "failed"]
    assert "größer?" in frame["text"][0] and pandas.isna(frame["text"][1])
    assert frame["error_code"].tolist()[1] == "server_error"
    # Whole numbers, although one line has none.
    assert frame["input_tokens"].dtype == pandas.Int64Dtype()
    assert frame["input_tokens"].isna().tolist() == [False, True] and frame["input_tokens"].sum() > 0


def test_results_are_a_dataframe_of_polars(run: lote.Run) -> None:
    frame = run.to_polars()
    assert isinstance(frame, polars.DataFrame)
    assert frame.columns[: len(COLUMNS)] == COLUMNS and frame.schema["output_tokens"] == polars.Int64
    assert frame["text"].is_null().to_list() == [False, True]


def test_results_are_a_table_of_arrow(run: lote.Run) -> None:
    table = run.to_arrow()
    assert isinstance(table, pyarrow.Table) and table.num_rows == 2
    assert table.column("custom_id").to_pylist() == ["q-0", "q-1"]


def test_vectors_are_lists_of_numbers(gateway: lote.Gateway) -> None:
    requests = [{"custom_id": str(n), "body": {"model": "e", "input": f"text {n}"}} for n in range(3)]
    run = lote.run(requests, dir="v.run", endpoint="embeddings", **gateway.service)
    vectors = numpy.stack(run.to_pandas()["embedding"].tolist())
    assert vectors.shape[0] == 3 and vectors.dtype == numpy.float32
    (first, *_) = run.results()
    assert numpy.allclose(vectors[0], first.body["data"][0]["embedding"])


def test_options_are_those_of_the_export(run: lote.Run, place: Path) -> None:
    rows = Path("rows.csv")
    rows.write_text("n,question\n0,one\n1,two\n")
    frame = run.to_polars(rows=rows, id="q-{{ n }}")
    assert frame.columns[:3] == ["n", "question", "custom_id"] and frame["n"].to_list() == ["0", "1"]
    told = run.export(place / "answers.csv")
    assert (told["rows"], told["output"]) == (2, str(place / "answers.csv"))
    assert len(pandas.read_csv("answers.csv")) == 2
    with pytest.raises(lote.UsageError, match="tables are .csv"):
        run.export("answers.xlsx")
    with pytest.raises(lote.RefusedError, match="no row is that of 2 results"):
        run.to_pandas(rows=rows)


def test_a_frame_of_requests_gets_a_frame_of_answers(gateway: lote.Gateway) -> None:
    bodies = [{"model": "m", "messages": [{"role": "user", "content": f"n is {n}"}]} for n in (1, 2)]
    asked = pandas.DataFrame({"custom_id": ["b", "a"], "n": [1, 2], "body": bodies})
    answers = asked.merge(lote.run(asked, dir="f.run", **gateway.service).to_pandas(), on="custom_id")
    assert answers["custom_id"].tolist() == ["b", "a"]
    assert [f"n is {n}" in text for n, text in zip(answers["n"], answers["text"])] == [True, True]


@pytest.mark.parametrize(
    ("method", "module", "said"),
    [
        ("to_pandas", "pandas", "to_pandas() needs pandas, which is not installed: pip install pandas pyarrow"),
        ("to_pandas", "pyarrow", "to_pandas() needs pyarrow, which is not installed: pip install pandas pyarrow"),
        ("to_polars", "polars", "to_polars() needs polars, which is not installed: pip install polars"),
        ("to_arrow", "pyarrow.parquet", "to_arrow() needs pyarrow, which is not installed: pip install pyarrow"),
    ],
)
def test_a_library_that_is_lacking_is_named(
    run: lote.Run, monkeypatch: pytest.MonkeyPatch, method: str, module: str, said: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(lote.MissingPackageError) as raised:
        getattr(run, method)()
    assert str(raised.value) == said and isinstance(raised.value, ImportError)


def test_no_library_is_imported_before_it_is_used() -> None:
    program = "import sys, lote_batch; print(*(m for m in ('pandas', 'polars', 'pyarrow', 'pydantic', 'numpy') if m in sys.modules))"
    done: Any = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
