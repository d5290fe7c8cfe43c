"""`meson install` puts everything where distributions want it, and nothing else."""

import json
import os
import stat
import subprocess

from lab import TALLYD, case, main

BUILD = os.environ.get("TALLYD_PAGES") or os.path.dirname(TALLYD)

# Below the prefix, by mode.
WANTED = {
    "bin/tallyd": 0o755,
    "share/bash-completion/completions/tallyd": 0o644,
    "share/doc/tallyd/CHANGELOG.md": 0o644,
    "share/doc/tallyd/README.md": 0o644,
    "share/doc/tallyd/examples/credentials.conf": 0o644,
    "share/doc/tallyd/examples/grafana/tallyd.json": 0o644,
    "share/doc/tallyd/examples/prometheus/rules.yml": 0o644,
    "share/doc/tallyd/examples/prometheus/tallyd.yml": 0o644,
    "share/doc/tallyd/examples/tallyd.yaml": 0o644,
    "share/man/man5/tallyd.yaml.5": 0o644,
    "share/man/man8/tallyd.8": 0o644,
    "share/zsh/site-functions/_tallyd": 0o644,
}


# Wherever the prefix is.
UNIT, LOGROTATE = "tallyd.service", "/etc/logrotate.d/tallyd"


def meson(*arguments, **environment):
    done = subprocess.run(["meson", *arguments], env={**os.environ, **environment},
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, (arguments, done)
    return done.stdout


@case
def everything_is_installed_where_it_belongs(lab):
    options = json.loads(meson("introspect", "--buildoptions", BUILD))
    prefix = next(option["value"] for option in options if option["name"] == "prefix")
    meson("install", "-C", BUILD, "--no-rebuild", "--quiet", DESTDIR=lab.path("root"))
    there = {}
    for folder, _, names in os.walk(lab.path("root")):
        for name in names:
            path = os.path.join(folder, name)
            there[os.path.relpath(path, lab.path("root"))] = stat.S_IMODE(os.stat(path).st_mode)
    wanted = {os.path.join(prefix, path)[1:]: mode for path, mode in WANTED.items()}
    found = subprocess.run(["pkg-config", "--variable=systemdsystemunitdir", "systemd"],
                           capture_output=True, text=True, check=False).stdout.strip()
    for path in (f"{found or prefix + '/lib/systemd/system'}/{UNIT}", LOGROTATE):
        wanted[path[1:]] = 0o644
    assert there == wanted, (sorted(set(there) ^ set(wanted)), there)


main()
