"""Owns the steps schemathesis, clients, tables and python of `cargo xtask ci`: what they install, the gateway they start,
and how long each part may take; never a check.

Usage: run.py schemathesis|clients|tables|python [--lote BINARY]. All that is written goes to the folder `clients` beside the binary,
which is kept: what is installed there is used again until what it was installed from changes. Exit codes: 0 passed,
1 failed, 77 skipped. A line `skipped: …` says what was left out and why.
"""

import argparse
import contextlib
import http.server
import json
import os
import pathlib
import queue
import shlex
import shutil
import signal
import subprocess
import sys
import threading

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PASSED, FAILED, SKIPPED = 0, 1, 77
# Seconds; the last four are for one prefix, for one client, for all readers of tables, and for a part of the package.
INSTALL, START, STOP, SCHEMATHESIS, CLIENT, TABLES, PACKAGE = 240, 20, 10, 120, 60, 60, 120
# How long a gateway finishes what is at work.
GRACE = 30
# What webhooks are signed with.
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZg=="
# What pip and npm print when no registry answers; anything else is a failure, such as a version that is not there.
UNREACHABLE = (
    "Retrying (Retry(",
    "ENOTFOUND",
    "EAI_AGAIN",
    "ECONNREFUSED",
    "ECONNRESET",
    "ENETUNREACH",
    "ETIMEDOUT",
    "ERR_SOCKET_TIMEOUT",
)


# What builds the program that a step needs.
BUILD = dict.fromkeys(("schemathesis", "clients"), "cargo build --workspace --bin lote --test cli")
BUILD |= dict.fromkeys(
    ("tables", "python"), "cargo build --workspace --features lote-cli/full --bin lote --test full"
)


class Skip(Exception):
    """Something this machine does not have."""


class Failed(Exception):
    """What failed, and what is known of it."""


def say(text):
    print(text, flush=True)


def kill_group(child):
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)


def environment():
    """This one, less what would send a client elsewhere."""
    strange = ("openai_", "litellm_", "hypothesis_", "schemathesis_", "python", "node_")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.lower().startswith(strange) and not name.lower().endswith("_proxy")
    }
    return kept | {"NO_PROXY": "*", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"}


def run(arguments, seconds, **options):
    """The exit code of a command, none when it took too long, and its output if that was asked for. Nothing that it
    started outlives it."""
    child = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, start_new_session=True, **options)
    try:
        output, _ = child.communicate(timeout=seconds)
        return child.returncode, output
    except subprocess.TimeoutExpired:
        return None, None
    finally:
        kill_group(child)
        child.wait()


def install(what, folder, source, commands):
    """Runs the commands that fill the folder, unless it was filled from the same source before."""
    stamp = folder / "installed.json"
    made_of = json.dumps([str(folder), sys.version, source.read_text()])
    if stamp.exists() and stamp.read_text() == made_of:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    say(f"installing {what}; later runs use it again")
    for command in commands:
        code, output = run(
            [str(word) for word in command], INSTALL, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        text = (output or b"").decode(errors="replace")
        if code is None:
            raise Skip(f"installing {what} took more than {INSTALL} s")
        if code != 0 and any(sign in text for sign in UNREACHABLE):
            raise Skip(f"{what} cannot be installed: the registry is not reachable")
        if code != 0:
            raise Failed(f"{what} cannot be installed:\n{text[-4000:]}")
    stamp.write_text(made_of)


def venv(work, requirements, interpreter=sys.executable):
    """The interpreter of a venv with these requirements."""
    folder = work / requirements.stem
    python = folder / "venv" / "bin" / "python"
    pip = [python, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--retries", "2"]
    commands = [[interpreter, "-m", "venv", "venv"], [*pip, "--requirement", requirements]]
    install(requirements.name, folder, requirements, commands)
    return python


def node(work):
    """Node, and its script beside the modules that it imports."""
    tools = {name: shutil.which(name) for name in ("node", "npm")}
    for name, path in tools.items():
        if path is None:
            raise Skip(f"{name} is not installed")
    package, script, folder = HERE / "package.json", HERE / "openai_node.mjs", work / "node"
    # A package.json here, or npm looks for one further up.
    prepare = [sys.executable, "-c", "import shutil, sys; shutil.copy(*sys.argv[1:])", package, "package.json"]
    npm = [tools["npm"], "install", "--no-package-lock", "--ignore-scripts", "--no-audit", "--no-fund"]
    npm += ["--fetch-retries=1", "--fetch-timeout=20000"]
    install("the modules of package.json", folder, package, [prepare, npm])
    return [tools["node"], shutil.copy(script, folder)]


@contextlib.contextmanager
def webhooks(work):
    """The URL of a receiver on a free port, and the file into which it writes what comes, a JSON line each."""
    told = work / "webhooks.jsonl"
    told.write_bytes(b"")

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            with told.open("a") as file:
                file.write(json.dumps({"headers": dict(self.headers), "body": body.decode()}) + "\n")
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/", told
        finally:
            server.shutdown()


def states(work):
    """Where gateways keep their state, each with the flags that say so: in memory and in a new folder, or as the
    environment variable LOTE_CLIENTS_STATE says, a JSON list of flags."""
    if given := os.environ.get("LOTE_CLIENTS_STATE"):
        return {"the given state": json.loads(given)}
    folder = work / "state"
    shutil.rmtree(folder, ignore_errors=True)
    return {"memory": [], "a folder": ["--data", folder]}


@contextlib.contextmanager
def gateway(lote, work, *flags):
    """The address of a gateway on a free port, which must last to the end and then stop as it is asked to."""
    with open(work / "gateway.log", "wb") as log:
        child = subprocess.Popen(
            [lote, "gateway", "--listen", "127.0.0.1:0", "--json", *flags],
            stdin=subprocess.DEVNULL,
            env=os.environ | {"HOOK_SECRET": SECRET},
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    try:
        first = queue.Queue()
        threading.Thread(target=lambda: first.put(child.stdout.readline()), daemon=True).start()
        try:
            root = "http://" + json.loads(first.get(timeout=START))["listen"]
        except (queue.Empty, ValueError, KeyError) as error:
            log = (work / "gateway.log").read_text(errors="replace")
            raise Failed(f"lote gateway does not say where it listens: {log[-4000:]}") from error
        yield root
        if child.poll() is not None:
            raise Failed(f"lote gateway has ended by itself, with exit code {child.returncode}")
        child.terminate()
        # One with a state finishes what is at work, for 30 s unless told otherwise.
        patience = STOP + (GRACE if {"--data", "--database"} & set(flags) else 0)
        try:
            code = child.wait(timeout=patience)
        except subprocess.TimeoutExpired as error:
            raise Failed(f"lote gateway still runs {patience} s after SIGTERM") from error
        if code != 0:
            raise Failed(f"lote gateway ended with exit code {code} after SIGTERM")
    finally:
        kill_group(child)
        child.wait()


def must_pass(what, command, seconds, more=None, **options):
    say(f"-- {what}")
    code, _ = run(command, seconds, env=environment() | (more or {}), **options)
    if code is None:
        raise Failed(f"{what} took more than {seconds} s")
    if code != 0:
        raise Failed(f"{what} ended with exit code {code}")


def schemathesis(lote, work):
    python = venv(work, HERE / "requirements.txt")
    for state, flags in states(work).items():
        with gateway(lote, work, *flags) as root:
            for name, prefix in (("mka1", "/api/v1/llm"), ("openai", "/v1")):
                # New each time: schemathesis tries first what failed in an earlier run, and so would depend on it.
                folder = work / f"schemathesis-{name}"
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                command = [python, HERE / "contract.py", ROOT / "openapi.yaml", root + prefix]
                must_pass(f"schemathesis against {prefix}, state in {state}", command, SCHEMATHESIS, cwd=folder)


def clients(lote, work):
    def scripts(requirements, **names):
        python = venv(work, HERE / requirements)
        return {name: [python, HERE / script] for name, script in names.items()}

    ways = {
        "openai-python, meetkai-mka1, the guide's Python": lambda: scripts(
            "requirements.txt",
            **{
                "openai-python": "openai_python.py",
                "meetkai-mka1": "mka1_python.py",
                "the guide's Python": "guide_python.py",
            },
        ),
        "openai-node": lambda: {"openai-node": node(work)},
    }
    if os.environ.get("LOTE_CI_LITELLM") == "1":
        ways["litellm"] = lambda: scripts("requirements-litellm.txt", litellm="litellm_python.py")
    else:
        say("skipped: litellm: LOTE_CI_LITELLM is not 1")
    commands = {}
    for names, way in ways.items():
        try:
            commands |= way()
        except Skip as reason:
            say(f"skipped: {names}: {reason}")
    if not commands:
        raise Skip("no client is there to run")
    with webhooks(work) as (url, told):
        config = work / "gateway.toml"
        config.write_text(f'[[webhook]]\nurl = "{url}"\nsecret_env = "HOOK_SECRET"\n')
        for state, flags in states(work).items():
            with gateway(lote, work, "--config", config, *flags) as root:
                for name, command in commands.items():
                    must_pass(f"{name}, state in {state}", [*command, root, told, SECRET], CLIENT)


def tables(lote, work):
    python = venv(work, HERE / "requirements-tables.txt")
    folder = work / "tables"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    must_pass("DuckDB, pandas, Polars and numpy", [python, HERE / "tables_python.py", lote, folder], TABLES)


def python(lote, work):
    tools = venv(work, HERE / "requirements-python.txt")
    package, program = ROOT / "python", [tools, "-m"]
    vermin = [tools.with_name("vermin"), "--no-tips", "-t=3.9-", "--violations", package / "src", package / "backend.py"]
    must_pass("the package is for Python 3.9", vermin, PACKAGE)
    wheels = work / "wheels"
    shutil.rmtree(wheels, ignore_errors=True)
    # Of the program that is built: see cargo_of_the_workspace.py. The wheel stays here, so that its size is no matter.
    build = ["--profile", "dev", "--compatibility", "linux", "--compression-level", "1"]
    build += ["--target-dir", str(lote.parent.parent)]
    pip = [*program, "pip", "--quiet", "--disable-pip-version-check", "--no-input"]
    made = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", wheels, package]
    cargo = {"CARGO": str(HERE / "cargo_of_the_workspace.py"), "LOTE_CARGO": os.environ.get("CARGO", "cargo")}
    # Maturin is looked for on PATH.
    cargo |= {"MATURIN_PEP517_ARGS": shlex.join(build), "PATH": f"{tools.parent}{os.pathsep}{os.environ['PATH']}"}
    must_pass("pip makes the wheel, by maturin", made, PACKAGE, more=cargo)
    (wheel,) = wheels.glob("*.whl")
    install = ["install", "--no-index", "--no-deps", "--force-reinstall", wheel]
    # One that has nothing but the wheel, and the one in which the tests run.
    bare = work / "bare"
    must_pass("a new environment", [sys.executable, "-m", "venv", "--clear", "--without-pip", bare], PACKAGE)
    must_pass("pip installs the wheel alone", [*pip, "--python", bare / "bin" / "python", *install], PACKAGE)
    must_pass("pip installs the wheel beside the tools", [*pip, *install], PACKAGE)
    # Neither what is built here nor another lote may take the place of the wheel's.
    alone = {"LOTE_BIN": "/nowhere", "LOTE_TEST_BARE": str(bare / "bin" / "python"), "LOTE_TEST_WHEEL": str(wheel)}
    must_pass("mypy", [*program, "mypy", "--cache-dir", work / "mypy", "src", "tests", "backend.py"], PACKAGE, cwd=package)
    pytest = ["pytest", "-q", "-p", "no:cacheprovider", "--basetemp", work / "pytest", "--durations", "5"]
    must_pass("the package's tests", [*program, *pytest], PACKAGE, cwd=package, more=alone)
    try:
        old = venv(work, HERE / "requirements-python39.txt", python39())
    except Skip as reason:
        say(f"skipped: the package's tests with Python 3.9: {reason}")
        return
    must_pass("pip installs the wheel for Python 3.9", [*pip, "--python", old, *install], PACKAGE)
    # What needs no other package. PyPy closes what is not used any more at a later time.
    tests = [package / "tests" / f"test_{name}.py" for name in ("errors", "gateway", "memory", "run")]
    pytest = [old, "-m", *pytest, "-p", "no:unraisableexception", "-W", "ignore::ResourceWarning"]
    must_pass("the package's tests with Python 3.9", [*pytest, *tests], PACKAGE, cwd=package, more=alone)


def python39():
    """A Python of that version, which PyPy is in Debian 12."""
    for name in ("python3.9", "pypy3.9", "pypy3"):
        words = [name, "-c", "import sys, venv; sys.exit(sys.version_info[:2] != (3, 9))"]
        if shutil.which(name) and run(words, START, stderr=subprocess.DEVNULL)[0] == 0:
            return shutil.which(name)
    raise Skip("there is none")


def main():
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("step", choices=["schemathesis", "clients", "tables", "python"])
    parser.add_argument("--lote", default=ROOT / "target" / "debug" / "lote", type=pathlib.Path)
    asked = parser.parse_args()
    lote = asked.lote.resolve()
    work = lote.parent / "clients"
    # So that what was started is stopped as well.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    step = {"schemathesis": schemathesis, "clients": clients, "tables": tables, "python": python}[asked.step]
    try:
        if not lote.is_file():
            raise Failed(f"{lote} is not there; {BUILD[asked.step]}")
        work.mkdir(exist_ok=True)
        step(lote, work)
    except Skip as reason:
        say(f"skipped: {reason}")
        return SKIPPED
    except Failed as failure:
        say(f"failed: {failure}")
        return FAILED
    return PASSED


if __name__ == "__main__":
    sys.exit(main())
