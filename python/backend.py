"""Makes the wheel, as PEP 517 has it: by maturin, with the manual pages and completions of the command.

Only the command can print those, from the words of its help, and it is there once a wheel was made. So the wheel is made
twice, the second time with what the command of the first has printed; cargo has nothing left to do then. A command for
another kind of machine cannot be asked here, and its wheel goes without them.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import zipfile
from pathlib import Path
from typing import Any, Mapping, Optional

import maturin
from maturin import (
    build_editable,
    build_sdist,
    get_requires_for_build_editable,
    get_requires_for_build_sdist,
    get_requires_for_build_wheel,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

#: What maturin packs, when it is there, to be laid below the prefix of an environment.
PREFIX = Path(__file__).resolve().parent / "lote_batch.data" / "data"

#: Where the completions of a shell are looked for, below a prefix.
COMPLETIONS = {
    "bash": "share/bash-completion/completions/lote",
    "zsh": "share/zsh/site-functions/_lote",
    "fish": "share/fish/vendor_completions.d/lote.fish",
}


def build_wheel(
    wheel_directory: str, config_settings: Optional[Mapping[str, Any]] = None, metadata_directory: Optional[str] = None
) -> str:
    """The name of the wheel, which is in that folder."""
    shutil.rmtree(PREFIX.parent, ignore_errors=True)
    try:
        with tempfile.TemporaryDirectory() as folder:
            first = Path(folder, maturin.build_wheel(folder, config_settings, metadata_directory))
            try:
                print_words(command_of(first))
            except OSError as error:
                print(f"the command cannot be run here: {error}; the wheel has no manual pages and no completions")
                shutil.copy(first, wheel_directory)
                return first.name
        return str(maturin.build_wheel(wheel_directory, config_settings, metadata_directory))
    finally:
        shutil.rmtree(PREFIX.parent, ignore_errors=True)


def command_of(wheel: Path) -> Path:
    """The command in a wheel, beside it."""
    with zipfile.ZipFile(wheel) as opened:
        (name,) = (name for name in opened.namelist() if name.endswith(".data/scripts/lote"))
        command = Path(opened.extract(name, wheel.parent))
    command.chmod(0o755)
    return command


def print_words(command: Path) -> None:
    """Lets the command print its manual pages and completions to where they are packed."""
    for shell, place in COMPLETIONS.items():
        printed = subprocess.run([command, "completions", shell], stdout=subprocess.PIPE, check=True).stdout
        path = PREFIX / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(printed)
    subprocess.run([command, "man", PREFIX / "share" / "man" / "man1"], check=True)
