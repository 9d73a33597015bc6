"""Rows of a table, of which the command makes requests."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import types
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Dict, Iterator, List, NamedTuple, Optional

import lote_batch as lote
import numpy
import pandas
import polars
import pytest
from lote_batch import _requests, _schema
from pydantic import BaseModel, Field


def rows(given: Any) -> List[Any]:
    return [json.loads(line) for line in _requests.lines(given, None, True)]


def requests_of(run: str) -> List[Any]:
    """The requests of a run, as they were sent."""
    return [json.loads(line) for line in Path(run, "shards/0001/requests.jsonl").read_text().splitlines()]


class Kind(enum.Enum):
    BUG = "bug"


@dataclass
class Ticket:
    id: str
    kind: Kind


class Note(NamedTuple):
    id: str
    text: Optional[str]


def test_a_dataframe_becomes_answers_beside_it(gateway: lote.Gateway) -> None:
    tickets = pandas.DataFrame({"ticket": ["T1", "T2"], "the subject": ["a", "b"], "price": [1.5, float("nan")]})
    ask: Dict[str, Any] = {"user": '{{ row["the subject"] }}: {{ price or "free" }}', "model": "m-1", "id": "{{ ticket }}"}
    run = lote.run(tickets, dir="a.run", **ask, system="Be brief.", field={"top_p": 0.5, "user": "me"}, **gateway.service)
    answers = tickets.merge(run.check().to_pandas(), left_on="ticket", right_on="custom_id")
    assert answers["ticket"].tolist() == ["T1", "T2"]
    sent = requests_of("a.run")
    assert [line["body"]["messages"][1]["content"] for line in sent] == ["a: 1.5", "b: free"]
    assert (sent[0]["body"]["top_p"], sent[0]["body"]["user"], sent[0]["url"]) == (0.5, "me", "/v1/chat/completions")
    # The same call again makes no other run, and no call.
    again = lote.run(tickets, dir="a.run", **ask, system="Be brief.", field={"top_p": 0.5, "user": "me"}, **gateway.service)
    assert again.status().run == run.status().run


def test_a_table_in_a_file_is_rows(gateway: lote.Gateway) -> None:
    Path("texts.csv").write_text("text\nhello\nworld\n")
    run = lote.run("texts.csv", embed="{{ text }}", model="m-1", dimensions=3, **gateway.service)
    assert run.dir == Path("texts.run").resolve()
    assert [len(vector) for vector in run.check().to_pandas()["embedding"]] == [3, 3]


def test_values_are_written_as_people_write_them() -> None:
    given: Dict[str, Any] = {
        "nothing": [None, float("nan"), pandas.NA, pandas.NaT, numpy.float64("nan"), numpy.datetime64("NaT")],
        "day": datetime.date(2026, 1, 2),
        "time": datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.timezone.utc),
        "stamp": pandas.Timestamp("2026-01-02 03:04:05"),
        "instant": numpy.datetime64("2026-01-02T03:04:05", "ns"),
        "amount": decimal.Decimal("1.50"),
        "id": uuid.UUID(int=7),
        "kind": Kind.BUG,
        "numbers": numpy.array([1, 2]),
        "of": types.MappingProxyType({"path": Path("a/b")}),
        "long": 2**70,
    }
    assert rows([given]) == [
        {
            "nothing": [None] * 6,
            "day": "2026-01-02",
            "time": "2026-01-02T03:04:00+00:00",
            "stamp": "2026-01-02T03:04:05",
            "instant": "2026-01-02T03:04:05.000000000",
            "amount": "1.50",
            "id": "00000000-0000-0000-0000-000000000007",
            "kind": "bug",
            "numbers": [1, 2],
            "of": {"path": "a/b"},
            "long": 2**70,
        }
    ]
    assert rows([Ticket("a", Kind.BUG), Note("b", None)]) == [{"id": "a", "kind": "bug"}, {"id": "b", "text": None}]


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_all_columns_of_a_dataframe_are_there(library: str) -> None:
    columns = {"a b": [1, 2], "custom_id": ["x", None], "when": [datetime.datetime(2026, 1, 1), None]}
    frame: Any = pandas.DataFrame(columns) if library == "pandas" else polars.DataFrame(columns)
    assert rows(frame) == [
        {"a b": 1, "custom_id": "x", "when": "2026-01-01T00:00:00"},
        {"a b": 2, "custom_id": None, "when": None},
    ]


def test_what_is_no_row_is_refused() -> None:
    with pytest.raises(lote.RequestError, match="row 2: it is a str; a row is a dictionary"):
        rows([{"a": 1}, "text"])
    with pytest.raises(lote.RequestError, match="row 1: a is inf"):
        rows([{"a": float("inf")}])
    with pytest.raises(lote.RequestError, match="row 1: a is a bytes"):
        rows([{"a": b"x"}])
    holds_itself: Dict[str, Any] = {}
    holds_itself["a"] = [holds_itself]
    with pytest.raises(lote.RequestError, match="row 1: .*nested too deeply, or holds itself"):
        rows([holds_itself])
    with pytest.raises(lote.UsageError, match="the column a twice"):
        rows(pandas.DataFrame([[1, 2]], columns=["a", "a"]))
    with pytest.raises(lote.UsageError, match="a Series of pandas: give a DataFrame"):
        rows(pandas.Series([1]))
    with pytest.raises(lote.UsageError, match='say what is asked of each row, as user="{{ column }}"'):
        _requests.lines(pandas.DataFrame({"text": ["a"]}), None)


def test_what_is_wrong_with_rows_is_said_with_their_numbers(gateway: lote.Gateway) -> None:
    given = [{"text": "a"}, {"text": None}, {"text": None}]
    with pytest.raises(lote.RefusedError, match=r"row 2: .*a value is null.*\(and in 1 more\)") as raised:
        lote.run(given, dir="a.run", user="{{ text }}", model="m-1", **gateway.service)
    assert "null" in raised.value.findings[0]["message"] and not Path("a.run").exists()


def test_a_generator_of_rows_is_read_once_and_not_held(gateway: lote.Gateway) -> None:
    def some() -> Iterator[Dict[str, Any]]:
        yield from ({"n": n} for n in range(1000))
        raise LookupError("the table ended early")

    with pytest.raises(LookupError, match="the table ended early"):
        lote.run(some(), dir="a.run", user="{{ n }}", model="m-1", **gateway.service)
    assert not Path("a.run").exists()


class Place(BaseModel):
    city: str


class Verdict(BaseModel):
    good: bool
    why: Optional[str] = None
    default: Kind = Field(default=Kind.BUG, description="what it is called")
    places: List[Place] = []
    home: Place = Field(default=Place(city="x"), description="where it is")


def test_a_class_of_pydantic_is_a_schema_in_strict_mode(gateway: lote.Gateway) -> None:
    ask: Dict[str, Any] = {"user": "{{ text }}", "model": "m-1"}
    run = lote.run([{"text": "fine"}], dir="a.run", schema=Verdict, **ask, **gateway.service)
    (result,) = run.check().results()
    assert Verdict.model_validate(result.json())
    (sent,) = requests_of("a.run")
    asked = sent["body"]["response_format"]["json_schema"]
    assert asked["name"] == "Verdict" and asked["strict"] is True
    assert asked["schema"]["required"] == ["good", "why", "default", "places", "home"]
    assert asked["schema"]["properties"]["home"] == {
        **asked["schema"]["$defs"]["Place"],
        "description": "where it is",
    }
    assert asked["schema"]["$defs"]["Place"]["additionalProperties"] is False
    # What strict mode cannot say is refused with its place; of others the schema goes as it is.
    with pytest.raises(lote.RefusedError, match="strict mode cannot say this schema"):
        lote.run([{"text": "fine"}], dir="b.run", schema={"type": "object", "properties": {}}, **ask, **gateway.service)
    with pytest.raises(lote.UsageError, match="schema= is not JSON"):
        _schema.text({"enum": [object()]})


class Node(BaseModel):
    name: str
    children: List[Node] = []
    first: Optional[Node] = Field(default=None, description="or nothing")
    # What refers to it says more beside that.
    next: List[Annotated[Node, Field(description="one of those that come after it")]] = []


def test_a_schema_that_refers_to_itself_ends() -> None:
    made = json.loads(_schema.text(Node) or "")
    assert made["$defs"]["Node"]["additionalProperties"] is False
    assert made["$defs"]["Node"]["properties"]["next"]["items"]["properties"]["next"]["items"] == {"$ref": "#/$defs/Node"}
