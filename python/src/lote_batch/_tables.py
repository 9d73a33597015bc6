"""Results as DataFrames, by way of Parquet, in which their columns have types."""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Mapping

from .errors import MissingPackageError

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

    from ._run import Run


def to_pandas(run: Run, options: Mapping[str, object]) -> pandas.DataFrame:
    """As ``Run.to_pandas``."""
    library = _needed("pandas", "to_pandas()", "pandas pyarrow")
    arrow = _needed("pyarrow", "to_pandas()", "pandas pyarrow")
    # Whole numbers stay whole where a line has none: by default they would be floats once one has failed.
    whole = {arrow.int64(): library.Int64Dtype()}
    frame: pandas.DataFrame = to_arrow(run, options).to_pandas(types_mapper=whole.get)
    return frame


def to_polars(run: Run, options: Mapping[str, object]) -> polars.DataFrame:
    """As ``Run.to_polars``."""
    library = _needed("polars", "to_polars()", "polars")
    with tempfile.TemporaryDirectory(prefix="lote-") as folder:
        # Not mapped: the file goes.
        frame: polars.DataFrame = library.read_parquet(_write(run, folder, options), memory_map=False)
    return frame


def to_arrow(run: Run, options: Mapping[str, object]) -> pyarrow.Table:
    """As ``Run.to_arrow``."""
    library = _needed("pyarrow.parquet", "to_arrow()", "pyarrow")
    with tempfile.TemporaryDirectory(prefix="lote-") as folder:
        table: pyarrow.Table = library.read_table(_write(run, folder, options), memory_map=False)
    return table


def _write(run: Run, folder: str, options: Mapping[str, object]) -> Path:
    path = Path(folder, "results.parquet")
    run.export(path, **{**options, "to": "parquet"})
    return path


def _needed(module: str, what: str, packages: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise MissingPackageError(f"{what} needs {name}, which is not installed: pip install {packages}") from error
