#!/usr/bin/env python3
"""Stands in for cargo when maturin makes the wheel of python/. Maturin builds the package of the command alone, and then
its dependencies have other features than in a build of the workspace: all of them would be compiled once more. This builds
the same program as the other steps have it; what else is asked goes to cargo as it is."""

import os
import sys


def of_the_workspace(words):
    """The words of a build of the command, as maturin gives them, for the whole workspace."""
    if words[:1] != ["rustc"]:
        return words
    if "--" in words:
        raise SystemExit(f"maturin wants flags for rustc, with which all is compiled anew: {words}")
    at = words.index("--features")
    features = [f"lote-cli/{name}" for name in words[at + 1].split(",")]
    # With a test beside it, as the step `full` builds it.
    return ["build", "--workspace", *words[1:at], "--features", ",".join(features), *words[at + 2 :], "--test", "full"]


if __name__ == "__main__":
    cargo = os.environ.get("LOTE_CARGO") or "cargo"
    os.execvp(cargo, [cargo, *of_the_workspace(sys.argv[1:])])
