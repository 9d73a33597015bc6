#!/usr/bin/env python3
"""Stands in for cargo when maturin makes the wheel of python/. Maturin builds the package of the command alone, and then
its dependencies have other features than in a build of the workspace: all of them would be compiled once more. This builds
the same program as the other steps have it; what else is asked goes to cargo as it is."""

import json
import os
import subprocess
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


def is_of_a_test(message):
    """Whether cargo tells of a test. Maturin packs the last program that it is told of, whatever that is."""
    try:
        return "test" in json.loads(message)["target"]["kind"]
    except (ValueError, KeyError, TypeError):
        return False


def main():
    cargo, words = os.environ.get("LOTE_CARGO") or "cargo", sys.argv[1:]
    if of_the_workspace(words) == words:
        os.execvp(cargo, [cargo, *words])
    with subprocess.Popen([cargo, *of_the_workspace(words)], stdout=subprocess.PIPE) as child:
        for message in child.stdout:
            if not is_of_a_test(message):
                sys.stdout.buffer.write(message)
                sys.stdout.buffer.flush()
    sys.exit(child.returncode)


if __name__ == "__main__":
    main()
