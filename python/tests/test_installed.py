"""The wheel in the ways in which pip installs it, and without any other package."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Dict, List

import pytest

#: Given by CI: an environment that has nothing but the wheel, and the wheel.
BARE, WHEEL = os.environ.get("LOTE_TEST_BARE", ""), os.environ.get("LOTE_TEST_WHEEL", "")

installed = pytest.mark.skipif(not (BARE and WHEEL), reason="there is no wheel: `cargo xtask ci python` makes one")

#: From requests to results, with nothing but this package.
PROGRAM = """
import lote_batch as lote
from lote_batch import _binary

requests = [{"custom_id": "a", "body": {"model": "m", "messages": [{"role": "user", "content": "hi"}]}}]
run = lote.run(requests, dir="a.run", embedded=True)
print(*[result.outcome for result in run.results()])
try:
    run.to_pandas()
except lote.MissingPackageError as error:
    print(error)
print(_binary.find())
"""


#: What the command prints for its users, below the prefix of an environment.
PRINTED = (
    "share/man/man1/lote.1",
    "share/man/man1/lote-run.1",
    "share/man/man1/lote-batches-list.1",
    "share/bash-completion/completions/lote",
    "share/zsh/site-functions/_lote",
    "share/fish/vendor_completions.d/lote.fish",
)


def python(interpreter: str, *words: str, **settings: str) -> List[str]:
    """What an interpreter prints that finds no command but that of the wheel."""
    environment: Dict[str, str] = {"HOME": os.getcwd(), "PATH": os.defpath, "LOTE_BIN": "/nowhere", **settings}
    done = subprocess.run([interpreter, *words], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@installed
def test_the_wheel_needs_no_other_package() -> None:
    outcome, lacking, command = python(BARE, "-c", PROGRAM)
    assert outcome == "succeeded" and lacking.startswith("to_pandas() needs pandas, which is not installed")
    assert Path(command) == Path(BARE).with_name("lote")
    packages = "from importlib import metadata; print(*sorted(d.name for d in metadata.distributions()))"
    assert python(BARE, "-c", packages) == ["lote-batch"]


@installed
def test_manual_pages_and_completions_are_where_they_are_looked_for() -> None:
    prefix = Path(BARE).parents[1]
    for name in PRINTED:
        assert (prefix / name).stat().st_size > 100, name
    assert (prefix / PRINTED[1]).read_text(encoding="utf-8").startswith(".TH lote-run 1 ")


@installed
def test_the_package_is_the_command(place: Path) -> None:
    assert python(BARE, "-m", "lote_batch", "--version")[0].startswith("lote ")
    done = subprocess.run([BARE, "-m", "lote_batch", "status", "nowhere"], capture_output=True, text=True)
    assert done.returncode == 2 and "holds no run" in done.stderr


def pip(*words: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--no-input", "--disable-pip-version-check", "install"]
    subprocess.run([*command, "--no-index", "--no-deps", *words, WHEEL], check=True)


@installed
@pytest.mark.filterwarnings("ignore")
def test_the_command_is_found_however_pip_has_installed_it(place: Path) -> None:
    base: str = getattr(sys, "_base_executable", sys.executable)
    pip("--target", "target")
    found = python(base, "-c", PROGRAM, PYTHONPATH=str(place / "target"))
    assert (found[0], Path(found[-1])) == ("succeeded", place / "target" / "bin" / "lote")
    # As pip install --user lays it out.
    pip("--ignore-installed", "--prefix", "user")
    found = python(base, "-c", PROGRAM.replace("a.run", "b.run"), PYTHONUSERBASE=str(place / "user"))
    assert (found[0], Path(found[-1])) == ("succeeded", place / "user" / "bin" / "lote")


@installed
def test_the_wheel_has_what_it_needs() -> None:
    with zipfile.ZipFile(WHEEL) as wheel:
        names = {name for name in wheel.namelist()}
    version = metadata.version("lote-batch")
    laid = f"lote_batch-{version}.data"
    licences = [f"lote_batch-{version}.dist-info/licenses/LICENSE-{name}" for name in ("MIT", "APACHE")]
    for name in ("lote_batch/py.typed", f"{laid}/scripts/lote", *licences, *(f"{laid}/data/{name}" for name in PRINTED)):
        assert name in names, sorted(names)
    about = metadata.metadata("lote-batch")
    assert about["Requires-Python"] == ">=3.9" and about["License-Expression"] == "MIT OR Apache-2.0"
    assert [need for need in about.get_all("Requires-Dist") or [] if "extra ==" not in need] == []
