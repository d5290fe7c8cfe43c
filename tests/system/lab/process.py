"""Processes that cannot outlive their test, ports that no other test takes, and waiting."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import time

# Names of ports in use by any test of this machine, as abstract sockets: the kernel gives them back
# with the process. Below the ephemeral range, so that no outgoing connection takes one either.
_FIRST_PORT, _LAST_PORT = 10240, 32000
_reserved = []
_LISTENS = "0A"  # in /proc/net/tcp


def free_port(address="127.0.0.1", kinds=(socket.SOCK_STREAM, socket.SOCK_DGRAM)):
    for _ in range(1000):
        port = random.randint(_FIRST_PORT, _LAST_PORT)
        claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            claim.bind(f"\0tallyd-test-port-{port}")
            for kind in kinds:
                with socket.socket(socket.AF_INET, kind) as probe:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    probe.bind((address, port))
        except OSError:
            claim.close()
            continue
        _reserved.append(claim)
        return port
    raise RuntimeError("no free port")


def wait_for(condition, what, limit=30.0):
    """The first true value of condition(); AssertionError after `limit` seconds."""
    deadline = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {limit:g} s: {what() if callable(what) else what}")
        time.sleep(0.02)


def established(pid, port, own=False):
    """A process' connections over IPv4 to that port, or from it where it is its own."""
    inodes = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            target = os.readlink(f"/proc/{pid}/fd/{fd}")
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    with open("/proc/net/tcp", encoding="ascii") as file:
        rows = [line.split() for line in file.readlines()[1:]]
    return sum(row[9] in inodes and row[3] != _LISTENS and
               row[1 if own else 2].endswith(f":{port:04X}") for row in rows)


def listens(port, address="127.0.0.1"):
    try:
        socket.create_connection((address, port), 1).close()
        return True
    except OSError:
        return False


def environment(extra=None):
    """The test's own, without what would change what the program does; None removes a name."""
    env = {name: value for name, value in os.environ.items()
           if not name.lower().endswith("_proxy") and not name.startswith(("LC_", "SSL_CERT"))
           and name not in ("LANG", "LANGUAGE", "JOURNAL_STREAM", "NOTIFY_SOCKET", "RES_OPTIONS",
                            "STATE_DIRECTORY")}
    env["PATH"] = env.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"  # nginx lives there
    env.setdefault("UBSAN_OPTIONS", "halt_on_error=1:print_stacktrace=1")
    for name, value in (extra or {}).items():
        if value is None:
            env.pop(name, None)
        else:
            env[name] = value
    return env


def start(argv, **options):
    """A process that the kernel kills when this one dies. It must be called on the main thread,
    for it is the thread's death that counts."""
    options.setdefault("stdin", subprocess.DEVNULL)
    options["env"] = environment(options.pop("env", None))
    return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *argv], **options)


def end(process, limit=10.0):
    """SIGTERM, then SIGKILL."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()
