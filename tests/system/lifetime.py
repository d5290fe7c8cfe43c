"""The Debian package from its installation to its purge, in a booted systemd: booted/package.py."""

import os
import shutil
import subprocess

from lab.booted import TESTS, build_package, run_booted, skip


def lay_out(overlay):
    """This package, and one that comes after it with another configuration."""
    package, place = build_package(), overlay + TESTS
    os.makedirs(place)
    shutil.copy(package, place + "/this.deb")
    following = place + "/following"
    subprocess.run(["dpkg-deb", "-R", package, following], check=True)
    for path, old, new in (("DEBIAN/control", "\nArchitecture:", "+following\nArchitecture:"),
                           ("etc/tallyd/tallyd.yaml", "samples: 20", "samples: 30")):
        with open(os.path.join(following, path), "r+", encoding="utf-8") as file:
            text = file.read()
            assert old in text, (path, text)
            file.seek(0)
            file.write(text.replace(old, new, 1))
    subprocess.run(["dpkg-deb", "-b", following, place + "/next.deb"], check=True,
                   stdout=subprocess.DEVNULL)


if build_package() is None:
    skip("no Debian here")
run_booted("package.py", lay_out, TESTS + "/this.deb", TESTS + "/next.deb")
