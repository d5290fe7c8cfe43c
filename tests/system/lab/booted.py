"""Tests that need a machine of their own: a real systemd on a throw-away copy of this one."""

import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TESTS = "/usr/libexec/tallyd-tests"  # where they are in there
TOOLS = "systemd-nspawn dbus-daemon logrotate setpriv unshare nsenter".split()
PATH = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"


def build_package():
    """The path of this tree's Debian package, built if need be; None where there is no Debian."""
    if shutil.which("dpkg-buildpackage") is None:
        return None
    done = subprocess.run([os.path.join(HERE, "../../../script/package")], check=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()


def skip(why):
    print(f"1..1\nok 1 - what needs a booted systemd # SKIP {why}")
    sys.exit(0)


def run_booted(script, lay_out, *arguments):
    """Boots, runs the cases of booted/SCRIPT in there, and exits as they do. `lay_out(overlay)`
    puts into that directory what they need to find below /."""
    if os.getuid() != 0:
        skip("booting needs root")
    missing = [tool for tool in TOOLS if shutil.which(tool, path=PATH) is None]
    if missing:
        skip(f"{' '.join(missing)} missing")
    with tempfile.TemporaryDirectory(prefix="tallyd-test-") as directory:
        overlay, journal = (os.path.join(directory, name) for name in ("overlay", "journal"))
        os.mkdir(overlay)
        lay_out(overlay)
        for name in ("lab", "booted"):
            shutil.copytree(os.path.join(HERE, "..", name), f"{overlay}{TESTS}/{name}",
                            ignore=shutil.ignore_patterns("__pycache__"))
        done = subprocess.run(
            [os.path.join(HERE, "boot"), overlay, "env", f"PYTHONPATH={TESTS}",
             "PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1", "python3",
             f"{TESTS}/booted/{script}", *arguments, *sys.argv[1:]],
            env={**os.environ, "LAB_JOURNAL": journal}, check=False)
        if done.returncode != 0 and os.path.exists(journal):
            with open(journal, encoding="utf-8", errors="replace") as file:
                for line in file.read().splitlines()[-150:]:
                    print("# " + line.encode("ascii", "backslashreplace").decode())
    sys.exit(done.returncode)
