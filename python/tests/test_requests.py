"""Requests of every kind as lines, and those that are refused."""

from __future__ import annotations

import decimal
import enum
import json
import types
from datetime import datetime
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional

import lote_batch as lote
import numpy
import pandas
import polars
import pytest
from conftest import chat
from lote_batch import _requests
from lote_batch._child import call
from pydantic import BaseModel, Field


def lines(requests: Any, endpoint: Optional[str] = None) -> List[Any]:
    return [json.loads(line) for line in _requests.lines(requests, endpoint)]


WHOLE = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": chat("hi")}


class Line(BaseModel):
    custom_id: str
    method: str = "POST"
    url: Optional[str] = None
    body: Dict[str, Any]


class Body(BaseModel):
    model: str
    messages: List[Dict[str, str]]
    seed: Optional[int] = None
    max_tokens: Optional[int] = Field(default=None, serialization_alias="max_completion_tokens")


def test_whole_lines_stay_as_they_are() -> None:
    line = {**WHOLE, "url": "/v1/responses", "extra": 1}
    assert lines([line]) == [line]
    assert lines([line], "embeddings") == [line]


def test_a_custom_id_and_a_body_are_completed() -> None:
    short = {"custom_id": "a", "body": chat("hi")}
    assert lines([short]) == [WHOLE]
    assert lines((one for one in [types.MappingProxyType(short)])) == [WHOLE]
    for name, path in _requests.ENDPOINTS.items():
        assert lines([short], name)[0]["url"] == path
    assert lines([short], "/v1/else")[0]["url"] == "/v1/else"
    with pytest.raises(lote.UsageError, match="give one of chat, responses"):
        lines([short], "chats")


def test_the_short_names_of_endpoints_are_those_of_the_command() -> None:
    ended = call(["run", "--endpoint=nothing", "--", "q.jsonl"], {})
    possible = next(line for line in ended.details if "possible values" in line)
    assert possible.strip(" []").partition(": ")[2].split(", ") == list(_requests.ENDPOINTS)


def test_models_of_pydantic_are_requests() -> None:
    body = Body(model="m-1", messages=[{"role": "user", "content": "hi"}])
    assert lines([Line(custom_id="a", body=chat("hi"))]) == [WHOLE]
    assert lines([{"custom_id": "a", "body": body}]) == [WHOLE]
    limited = lines([{"custom_id": "a", "body": body.model_copy(update={"max_tokens": 5})}])[0]["body"]
    assert limited["max_completion_tokens"] == 5 and "seed" not in limited
    assert lines([{"custom_id": "a", "body": {"model": "m", "input": [body]}}])[0]["body"]["input"][0]["model"] == "m-1"


def test_a_dataframe_of_pandas_is_requests() -> None:
    frame = pandas.DataFrame({"note": [1, 2], "custom_id": ["a", "b"], "body": [chat("hi"), chat("ho")]})
    assert lines(frame) == [WHOLE, {**WHOLE, "custom_id": "b", "body": chat("ho")}]
    frame["url"] = ["/v1/responses", None]
    assert [line["url"] for line in lines(frame)] == ["/v1/responses", "/v1/chat/completions"]
    frame.loc[1, "custom_id"] = pandas.NA
    with pytest.raises(lote.RequestError, match="request 2: it has no custom_id"):
        lines(frame)
    with pytest.raises(lote.UsageError, match="needs one column body, and has note, custom_id, url"):
        lines(frame.drop(columns="body"))
    with pytest.raises(lote.UsageError, match="a Series of pandas"):
        lines(frame["body"])


def test_a_dataframe_of_polars_is_requests() -> None:
    bodies = [{**chat("ho"), "seed": 7}, chat("hi")]
    frame = polars.DataFrame({"custom_id": ["a", "b"], "body": bodies, "note": [1, 2]})
    # A struct has the field seed in both rows.
    assert frame["body"][1]["seed"] is None
    assert lines(frame) == [{**WHOLE, "body": bodies[0]}, {**WHOLE, "custom_id": "b", "body": bodies[1]}]
    with pytest.raises(lote.UsageError, match="a LazyFrame of polars"):
        lines(frame.lazy())


def test_numbers_of_numpy_are_numbers() -> None:
    body = {**chat("hi"), "seed": numpy.int64(7), "temperature": numpy.float32(0.5), "logit_bias": {"5": numpy.bool_(True)}}
    (line,) = lines([{"custom_id": "a", "body": {**body, "input": numpy.array([1, 2])}}])
    assert (line["body"]["seed"], line["body"]["temperature"], line["body"]["input"]) == (7, 0.5, [1, 2])


def test_texts_stay_as_they_are() -> None:
    text = "naïve “quotes” 🌍 \u2028 \x00 \u202e \r\n end"
    raw = list(_requests.lines([{"custom_id": text, "body": chat(text)}], None))
    assert raw[0].count(b"\n") == 1 and raw[0].endswith(b"\n")
    assert json.loads(raw[0])["body"] == chat(text)
    assert "🌍".encode() in raw[0]


class Colour(enum.Enum):
    RED = "red"


def holds_itself() -> Dict[str, Any]:
    value: Dict[str, Any] = {"model": "m"}
    value["again"] = [value]
    return value


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"temperature": float("nan")}, "body.temperature is nan"),
        ({"a": [0, {"b": float("-inf")}]}, r"body.a\[1\].b is -inf"),
        ({"x": numpy.float32("nan")}, "body.x is nan"),
        ({"x": numpy.array([1.0, float("inf")])}, r"body.x\[1\] is inf"),
        ({"when": datetime(2026, 1, 1)}, "body.when is a datetime"),
        ({"when": numpy.datetime64("2026-01-01T00:00:00.000000000")}, "body.when is a datetime64"),
        ({"times": numpy.array([1], dtype="timedelta64[ns]")}, "body.times is a ndarray"),
        ({"price": decimal.Decimal("1.5")}, "body.price is a Decimal"),
        ({"raw": b"bytes"}, "body.raw is a bytes"),
        ({"tags": {"a"}}, "body.tags is a set"),
        ({"colour": Colour.RED}, "body.colour is a Colour"),
        ({"text": "half \ud83d"}, "body.text holds half of a surrogate pair"),
        ({"half \ud83d": 1}, "a name in body holds half of a surrogate pair"),
        ({("a", "b"): 1}, "body has a name that is a tuple"),
        ({"none": pandas.NA}, "body.none is a NAType"),
        (holds_itself(), "nested too deeply, or holds itself"),
    ],
)
def test_what_json_cannot_say_is_refused_by_its_place(body: Dict[str, Any], said: str) -> None:
    with pytest.raises(lote.RequestError, match=f'request 1 \\("a"\\): .*{said}.*nothing was sent'):
        lines([{"custom_id": "a", "body": body}])


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ("What is 1 + 1?", "request 1: it is a str; .*Files are given as pathlib.Path"),
        (7, "request 1: it is a int"),
        ({"body": chat("hi")}, "request 1: it has no custom_id"),
        ({"custom_id": 7, "body": chat("hi")}, "custom_id is a int: make it a text"),
        ({"custom_id": "a", "messages": []}, 'request 1 ("a"): it has no body'),
        ({"custom_id": "a", "body": "hi"}, "body is a str: give a dictionary"),
        (Line, "request 1: it is a ModelMetaclass"),
    ],
)
def test_what_is_no_request_is_refused(request_: object, said: str) -> None:
    with pytest.raises(lote.RequestError, match=said.replace("(", r"\(").replace(")", r"\)")):
        lines([request_])


@pytest.mark.parametrize(
    ("requests", "said"),
    [
        (WHOLE, "is one request"),
        (Line(custom_id="a", body={}), "is one request"),
        (b"{}", "is bytes"),
        (7, "is a int: give dictionaries"),
        (None, "is a NoneType: give dictionaries"),
    ],
)
def test_what_are_no_requests_is_refused(requests: Any, said: str) -> None:
    with pytest.raises(lote.UsageError, match=said):
        lote.run(requests, dir="a.run", api_key="any")


def test_a_request_that_is_refused_leaves_nothing(gateway: lote.Gateway) -> None:
    def some() -> Iterator[Dict[str, Any]]:
        for n in range(5000):
            yield {"custom_id": str(n), "body": chat("x" * 1000)}
        yield {"custom_id": "last", "body": {"temperature": float("nan")}}

    with pytest.raises(lote.RequestError, match='request 5001 \\("last"\\)') as raised:
        lote.run(some(), dir="a.run", **gateway.service)
    assert isinstance(raised.value, (lote.RefusedError, ValueError))
    assert not Path("a.run").exists()


def test_a_generator_that_fails_sends_nothing(gateway: lote.Gateway) -> None:
    def some() -> Iterator[Dict[str, Any]]:
        yield {"custom_id": "a", "body": chat("hi")}
        raise LookupError("the table ended early")

    with pytest.raises(LookupError, match="the table ended early"):
        lote.run(some(), dir="a.run", **gateway.service)
    assert not Path("a.run").exists()


def test_findings_are_told_before_anything_is_sent(gateway: lote.Gateway) -> None:
    twice = [{"custom_id": "a", "body": chat("hi")}] * 2
    with pytest.raises(lote.RefusedError, match=r'line 2 \("a"\): custom_id was used before') as raised:
        lote.run(twice, dir="a.run", **gateway.service)
    assert [finding["code"] for finding in raised.value.findings] == ["duplicate_custom_id"]
    assert raised.value.exit_code == 3 and raised.value.run is None
    with pytest.raises(lote.RefusedError) as raised:
        lote.run([], dir="a.run", **gateway.service)
    assert str(raised.value) == "requests: 1 finding; nothing was sent\n  the file holds no request line"
    many = [{"custom_id": "a", "body": chat("hi")}] * 20
    with pytest.raises(lote.RefusedError, match="19 findings; nothing was sent; all of them are in error.findings") as raised:
        lote.run(many, dir="a.run", **gateway.service)
    assert len(raised.value.findings) == 19 and len(raised.value.details) == 10


def test_a_custom_id_is_shown_as_plain_text(gateway: lote.Gateway) -> None:
    for custom_id, shown in (("half \ud83d", "half \\ud83d"), ("\x1b[2J\nred", "\\x1b[2J\\nred"), ("é🌍\u202e", "é🌍\\u202e")):
        with pytest.raises(lote.RequestError) as error:
            lines([{"custom_id": custom_id, "body": {"seed": float("nan"), "custom": custom_id}}])
        assert str(error.value).startswith(f'request 1 ("{shown}"): ')
        # As a terminal gets it.
        str(error.value).encode()
    twice = [{"custom_id": "\x1b[2J", "body": chat("hi")}] * 2
    with pytest.raises(lote.RefusedError) as raised:
        lote.run(twice, dir="a.run", **gateway.service)
    assert '  line 2 ("\\x1b[2J"): custom_id was used before' in str(raised.value)
