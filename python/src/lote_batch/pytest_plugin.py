"""The fixture ``lote_gateway`` of pytest: a gateway for one test."""

from __future__ import annotations

from typing import Iterator

import pytest

from ._gateway import Gateway


def pytest_configure(config: pytest.Config) -> None:
    """Makes the mark known."""
    config.addinivalue_line(
        "markers", "lote_gateway(**options): the options of `lote gateway` for the fixture lote_gateway"
    )


@pytest.fixture
def lote_gateway(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    """A gateway with a built-in model on a free port, stopped at the end of the test.

    Its options are those of ``@pytest.mark.lote_gateway(faults="faults.toml")``. A test fails that leaves faults unused.
    """
    mark = request.node.get_closest_marker("lote_gateway")
    with Gateway(**(mark.kwargs if mark is not None else {})) as gateway:
        yield gateway
    if gateway.leftovers:
        pytest.fail("the gateway was left with: " + "; ".join(gateway.leftovers), pytrace=False)
