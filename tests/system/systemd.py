"""The service in a booted systemd: what is installed is laid over a throw-away copy of this
machine, which boots and runs the cases of booted/service.py."""

import os
import shutil
import subprocess
import sys
import tempfile

from lab import TALLYD

HERE = os.path.dirname(os.path.abspath(__file__))
BUILD = os.environ.get("TALLYD_PAGES") or os.path.dirname(TALLYD)
TESTS = "usr/libexec/tallyd-tests"
TOOLS = "systemd-nspawn dbus-daemon logrotate setpriv unshare nsenter".split()


def skip(why):
    print(f"1..1\nok 1 - the service in a booted systemd # SKIP {why}")
    sys.exit(0)


def lay_out(overlay):
    """What is installed, and what the cases need."""
    subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet"], check=True,
                   env={**os.environ, "DESTDIR": overlay}, stdout=subprocess.DEVNULL)
    for name in ("lab", "booted"):
        shutil.copytree(os.path.join(HERE, name), os.path.join(overlay, TESTS, name),
                        ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(os.environ["TALLYD_STALL"], os.path.join(overlay, TESTS, "stall.so"))


def main():
    if os.getuid() != 0:
        skip("booting needs root")
    missing = [tool for tool in TOOLS if shutil.which(tool, path=os.defpath + ":/usr/sbin") is None]
    if missing:
        skip(f"{' '.join(missing)} missing")
    with tempfile.TemporaryDirectory(prefix="tallyd-test-") as directory:
        overlay, journal = (os.path.join(directory, name) for name in ("overlay", "journal"))
        os.mkdir(overlay)
        lay_out(overlay)
        done = subprocess.run(
            [os.path.join(HERE, "lab/boot"), overlay, "env", f"PYTHONPATH=/{TESTS}",
             "PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1", "python3",
             f"/{TESTS}/booted/service.py", *sys.argv[1:]],
            env={**os.environ, "LAB_JOURNAL": journal}, check=False)
        if done.returncode != 0 and os.path.exists(journal):
            with open(journal, encoding="utf-8", errors="replace") as file:
                for line in file.read().splitlines()[-150:]:
                    print("# " + line.encode("ascii", "backslashreplace").decode())
    sys.exit(done.returncode)


main()
