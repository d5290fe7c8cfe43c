"""The Debian package of this tree: what is in it, and that lintian has nothing to say."""

import re
import subprocess

from lab import Skip, case, main
from lab.booted import build_package

WANTED = {
    "etc/logrotate.d/tallyd",
    "etc/tallyd/tallyd.yaml",
    "lib/systemd/system/tallyd.service",
    "usr/bin/tallyd",
    "usr/share/bash-completion/completions/tallyd",
    "usr/share/doc/tallyd/README.md.gz",
    "usr/share/doc/tallyd/changelog.Debian.gz",
    "usr/share/doc/tallyd/changelog.gz",
    "usr/share/doc/tallyd/copyright",
    "usr/share/doc/tallyd/examples/credentials.conf",
    "usr/share/doc/tallyd/examples/grafana/tallyd.json",
    "usr/share/doc/tallyd/examples/prometheus/rules.yml",
    "usr/share/doc/tallyd/examples/prometheus/tallyd.yml",
    "usr/share/doc/tallyd/examples/tallyd.yaml",
    "usr/share/lintian/overrides/tallyd",
    "usr/share/man/man5/tallyd.yaml.5.gz",
    "usr/share/man/man8/tallyd.8.gz",
    "usr/share/zsh/vendor-completions/_tallyd",
}
CONFFILES = {"/etc/logrotate.d/tallyd", "/etc/tallyd/tallyd.yaml"}


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done
    return done.stdout


def build():
    path = build_package()
    if path is None:
        raise Skip("no Debian here")
    return path


@case
def the_package_holds_what_it_should(lab):
    path = build()
    there = set(re.findall(r"(?m)^-.* \./(\S+)$", run("dpkg-deb", "-c", path)))
    assert there == WANTED, sorted(there ^ WANTED)
    run("dpkg-deb", "-e", path, lab.path("control"))
    with open(lab.path("control/conffiles"), encoding="utf-8") as file:
        assert set(file.read().split()) == CONFFILES


@case
def lintian_is_silent(_lab):
    changes = re.sub(r"\.deb$", ".changes", build())
    said = run("lintian", "--allow-root", "--fail-on", "error,warning", "--info", "--pedantic",
               "--display-info", changes)
    assert said == "", said


@case
def the_configuration_of_a_fresh_installation_is_good_and_sends_nothing(lab):
    root = lab.path("root")
    run("dpkg-deb", "-x", build(), root)
    done = subprocess.run([root + "/usr/bin/tallyd", "check", "-c",
                           root + "/etc/tallyd/tallyd.yaml"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "0 enabled" in done.stdout, done
    assert "no site is enabled" in done.stderr, done


main()
