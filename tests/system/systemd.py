"""The service in a booted systemd: the package's files (where there is no Debian, those that meson
installs) are laid over a throw-away copy of this machine, which boots and runs the cases of
booted/service.py."""

import os
import shutil
import subprocess

from lab import TALLYD
from lab.booted import TESTS, build_package, run_booted

BUILD = os.environ.get("TALLYD_PAGES") or os.path.dirname(TALLYD)


def lay_out(overlay):
    package = build_package()
    if package is not None:
        subprocess.run(["dpkg-deb", "-x", package, overlay], check=True)
    else:
        subprocess.run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet"], check=True,
                       env={**os.environ, "DESTDIR": overlay}, stdout=subprocess.DEVNULL)
    os.makedirs(overlay + TESTS, exist_ok=True)
    shutil.copy(os.environ["TALLYD_STALL"], f"{overlay}{TESTS}/stall.so")


run_booted("service.py", lay_out)
