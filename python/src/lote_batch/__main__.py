"""``python -m lote_batch`` is the command ``lote``, wherever that is."""

from __future__ import annotations

import os
import sys

from ._binary import find
from .errors import CommandNotFoundError


def main() -> None:
    """Becomes the command."""
    try:
        path = find()
    except CommandNotFoundError as error:
        sys.exit(f"error: {error}")
    os.execv(path, [path, *sys.argv[1:]])


if __name__ == "__main__":
    main()
