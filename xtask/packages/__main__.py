"""Reads a generated Python client without running it, and prints an OpenAPI 3.1 document of what it says.

Usage: python3 xtask/packages WHEEL|FOLDER "METHOD /path"…; the paths may have any prefix in the package. Exit codes:
0 printed, 1 refused, with the reason on standard error. What was not understood, all else having been read, stands in the
document under `x-xtask-unread`, and what such a package never says under `x-xtask-unsaid`.
"""

import json
import re
import sys

import modules
import package
import schemas
import speakeasy
import stainless

GENERATORS = {"Speakeasy": speakeasy, "Stainless": stainless}
# Bytes of memory and seconds of work, where the machine can limit them: an input made to take more is refused.
MEMORY, SECONDS = 2 << 30, 60


class Wanted:
    """The operations that are looked for."""

    def __init__(self, operations):
        self.pairs = [(verb.upper(), template(path)) for verb, path in (one.split(" ", 1) for one in operations)]
        self.ends = {re.split(r"[{}]", path)[0].rstrip("/") for _, path in self.pairs}

    def has(self, verb, path):
        return any(verb.upper() == one and template(path).endswith(end) for one, end in self.pairs)

    def chosen(self, found):
        """Of what was found, by method and path, what stands under the prefix that most of it has."""
        starts = {}
        for verb, path in found:
            for one, end in self.pairs:
                if verb.upper() == one and template(path).endswith(end):
                    starts.setdefault(template(path)[: -len(end)], set()).add((verb, path))
        best = max(starts, key=lambda start: (len(starts[start]), -len(start), start), default=None)
        return {key: value for key, value in found.items() if key in starts.get(best, ())}


def template(path):
    return re.sub(r"\{[^}]*\}", "{}", path)


def top_of(files):
    """The generator and the folder of the one package that is known."""
    folders = {name.rsplit("/", 1)[0] if "/" in name else "" for name in files.names}
    found = [
        (name, folder) for folder in sorted(folders) for name, one in GENERATORS.items() if one.is_top(files, folder)
    ]
    if not found:
        raise package.Refused("no package in it is one that Speakeasy or Stainless generated, as far as that is known")
    if len(found) > 1:
        raise package.Refused(
            f"it holds several packages, {', '.join(folder for _, folder in found)}: name the folder of one"
        )
    return found[0]


def document(path, operations):
    files = package.open_package(path)
    generator, top = top_of(files)
    kind = GENERATORS[generator]
    reader = kind.Reader(files, top, Wanted(operations))
    try:
        written = reader.document()
    except modules.Unknown as unknown:
        raise package.Refused(str(unknown)) from None
    name, version = files.about()
    if version is None:
        name, version = of_package(reader, top)
    info = {"title": name or top, "version": version or "of no known version", "x-xtask-generator": generator}
    if files.dated:
        info["x-xtask-date"] = files.dated
    return {
        "openapi": "3.1.0",
        "info": info,
        schemas.UNSAID: list(kind.UNSAID),
        **({schemas.UNREAD: reader.unread} if reader.unread else {}),
        **written,
    }


def of_package(reader, top):
    """The name and the version that the package has in its code."""
    path = reader.modules.path(("_version",))
    defined = reader.modules.module(path).defined if path else {}
    values = (getattr(defined.get(name), "value", None) for name in ("__title__", "__version__"))
    return tuple(value if isinstance(value, str) else None for value in values)


def limit():
    try:
        import resource
    except ImportError:
        return
    for what, most in ((resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CPU, SECONDS)):
        _, hard = resource.getrlimit(what)
        try:
            resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
        except (ValueError, OSError):
            pass


def main(arguments):
    limit()
    try:
        text = json.dumps(document(arguments[0], arguments[1:]))
    except package.Refused as refused:
        problem = str(refused)
    except RecursionError:
        problem = "something in it is nested too deeply"
    except MemoryError:
        problem = f"reading it would take more than {MEMORY} bytes of memory"
    else:
        sys.stdout.write(text)
        return 0
    sys.stderr.buffer.write(problem.encode("utf-8", "backslashreplace"))
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
