"""Where the command ``lote`` is."""

from __future__ import annotations

import os
import shutil
import sysconfig
from pathlib import Path
from typing import Iterator, List

from .errors import CommandNotFoundError

NAME = "lote"


def find() -> str:
    """The path of the command: that of the wheel, else what ``LOTE_BIN`` names, else the one on ``PATH``."""
    for path in _of_the_wheel():
        if _is_program(path):
            return str(path)
    named = os.environ.get("LOTE_BIN")
    if named:
        if _is_program(Path(named)):
            return os.path.abspath(named)
        raise CommandNotFoundError(f"LOTE_BIN={named}: there is no program that can be run; name the command lote")
    found = shutil.which(NAME)
    if found is not None:
        return os.path.abspath(found)
    raise CommandNotFoundError(
        "the command lote is not beside this package, nor on PATH: install the package anew with pip, "
        "or name the command in LOTE_BIN"
    )


def _of_the_wheel() -> Iterator[Path]:
    """Where pip puts the command of a wheel."""
    for scripts in SCRIPTS:
        yield Path(scripts, NAME)
    # pip install --target and --prefix.
    package = Path(__file__).resolve().parent
    for above in list(package.parents)[:4]:
        yield above / "bin" / NAME


def _scripts() -> List[str]:
    """The folders of programs, of this environment and of the user."""
    user = f"{os.name}_user"
    schemes = [user] if user in sysconfig.get_scheme_names() else []
    return [sysconfig.get_path("scripts"), *(sysconfig.get_path("scripts", scheme=scheme) for scheme in schemes)]


#: Asked for once, while this is imported: Python's own answer is wrong when threads ask for it first at the same time.
SCRIPTS = _scripts()


def _is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
