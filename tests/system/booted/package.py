"""The Debian package, from its installation to its purge, on a machine that was booted for it
(lab/boot). The cases are the life of one installation, in their order."""

import os
import re
import subprocess
import sys

from lab import Origin, answer, case, main, wait_for

CONFIG, LOG = "/etc/tallyd/tallyd.yaml", "/var/log/tallyd/reports.log"
PACKAGE, NEXT = sys.argv.pop(1), sys.argv.pop(1)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


def run(*command, status=0):
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120,
                          stdin=subprocess.DEVNULL,
                          env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    assert status is None or done.returncode == status, done
    return done.stdout


def show(name):
    return run("systemctl", "show", "-p", name, "--value", "tallyd").strip()


def said():
    run("journalctl", "--sync")
    return run("journalctl", "-u", "tallyd", "-o", "cat", "--no-pager", "-b")


def read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def edit(*changes):
    text = read(CONFIG)
    for old, new in changes:
        assert old in text, (old, text)
        text = text.replace(old, new)
    with open(CONFIG, "w", encoding="utf-8") as file:
        file.write(text)


def traces():
    """What there is, but for what belongs to dpkg, to systemd and to the journal."""
    found = set()
    for top in ("/etc", "/opt", "/run", "/usr", "/var"):
        for folder, folders, names in os.walk(top):
            folders[:] = [name for name in folders
                          if not os.path.ismount(os.path.join(folder, name))]
            found.update(os.path.join(folder, name) for name in folders + names)
    return {path for path in found if not re.match(
        r"/var/lib/dpkg/|/var/cache/man/|/var/log/(dpkg\.log|journal|private$)|/var/lib/private$"
        r"|/run/log/journal|/run/systemd/(journal|units|transient|unit-root|dynamic-uid)"
        r"|/run/agetty\.reload$|/var/tmp/systemd-private|/usr/libexec/tallyd-tests", path)}


BEFORE = set()


@case
def a_fresh_installation_runs_and_samples_nothing(_lab):
    for path in ("/usr/sbin/policy-rc.d", "/var/lib/man-db/auto-update"):
        if os.path.exists(path):
            os.remove(path)
    BEFORE.update(traces())
    run("dpkg", "-i", PACKAGE)
    assert show("ActiveState") == "active" and show("UnitFileState") == "enabled"
    assert "no site is enabled" in said()
    assert read(LOG) == ""


@case
def after_the_tour_of_the_readme_the_site_is_in_the_log(lab):
    origin = Origin(lab, answer(OK))
    edit(("https://www.example.org/", origin.url("/health")), ("    enabled: no\n", ""),
         ("interval: 60s", "interval: 1s"), ("timeout: 5s", "timeout: 500ms"))
    assert "samples/s" in run("tallyd", "check", "-c", CONFIG)
    run("systemctl", "reload", "tallyd")
    wait_for(lambda: " planned=20 failed=0 200=20 " in read(LOG), "a report in the log")
    wait_for(lambda: " state=up " in read(LOG), "a state")


@case
def an_upgrade_keeps_the_configuration_the_log_and_the_states(lab):
    origin = Origin(lab, answer(OK))
    edit((re.search(r"http://\S+", read(CONFIG)).group(0), origin.url("/health")))
    run("systemctl", "reload", "tallyd")
    wait_for(lambda: origin.url() in read(LOG) and " state=up " in read(LOG).splitlines()[-1],
             "a state of the site")
    before, pid, mine = read(LOG), show("MainPID"), read(CONFIG)
    run("dpkg", "--force-confold", "-i", NEXT)
    assert read(CONFIG) == mine and os.path.exists(CONFIG + ".dpkg-dist")
    assert show("ActiveState") == "active" and show("MainPID") not in ("0", pid)
    wait_for(lambda: len(read(LOG).splitlines()) > len(before.splitlines()) + 1, "more reports")
    log = read(LOG)
    assert log.startswith(before), "the log was not continued"
    assert "unknown" not in log[len(before):], log[len(before):]


@case
def a_removed_package_runs_no_more_and_leaves_configuration_and_logs(_lab):
    run("dpkg", "--remove", "tallyd")
    assert show("ActiveState") == "inactive" and run("pgrep", "-x", "tallyd", status=1) == ""
    assert read(LOG) != "" and read(CONFIG) != ""


@case
def a_purged_package_leaves_no_trace(_lab):
    os.makedirs("/etc/tallyd/sites.d", exist_ok=True)
    with open("/etc/tallyd/sites.d/more.yaml", "w", encoding="utf-8") as file:
        file.write("sites: []\n")
    run("dpkg", "--purge", "tallyd")
    left = traces() - BEFORE
    assert not left, sorted(left)
    assert run("dpkg-query", "-W", "tallyd", status=1) == ""
    assert run("systemctl", "list-unit-files", "--no-legend", "tallyd*", status=None) == ""


main()
