"""Commands that are run at changes of a site's state, with real programs."""

import json
import os
import re
import signal
import sys

from lab import (TALLYD, Daemon, Origin, case, check_log, configuration, free_port, main, wait_for)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
UNAVAILABLE = b"HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno"
LIMITED = b"HTTP/1.1 429 Slow down\r\nContent-Length: 2\r\n\r\nno"
PAGES = os.environ.get("TALLYD_PAGES") or os.path.dirname(TALLYD)
# ten samples: two bad rounds are `down`, ten good ones later it is `up` again
FAST = {"interval": "200ms", "samples": 10, "concurrency": 10, "spread": "0s"}


class Switched:
    """A site that answers what it is told to."""

    def __init__(self, lab, answer):
        self.answer = answer
        self.origin = Origin(lab, self._behave)
        self.url = self.origin.url()

    def _behave(self, connection):
        if connection.read_request():
            connection.send(self.answer)
            connection.finish()


def refused():
    """The URL of a site that is down from the beginning."""
    return f"http://127.0.0.1:{free_port()}/"


def script(lab, name, text):
    path = lab.write(name, "#!/bin/sh\n" + text)
    os.chmod(path, 0o755)
    return path


def lines(path):
    """The whole lines of a file that a script writes."""
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        text = file.read()
    return text[:text.rfind("\n") + 1].splitlines()


def children(pid):
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
            found += file.read().split()
    return found


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"  # whom nobody has reaped yet
    except FileNotFoundError:
        return False


def events(daemon, site):
    return [r for r in daemon.records() if r["record"] == "event" and r["site"] == site]


@case
def a_command_has_what_changed_in_its_environment_and_nothing_else(lab):
    told = lab.path("told.json")
    dump = lab.write("dump.py", f"""
import json, os, sys
open_ones = []
for fd in os.listdir("/proc/self/fd"):
    try:
        open_ones.append([int(fd), os.readlink("/proc/self/fd/" + fd)])
    except FileNotFoundError:
        pass  # the one that listed them
with open({told + ".new"!r}, "w") as to:
    json.dump({{"environment": dict(os.environ), "words": sys.argv[1:], "cwd": os.getcwd(),
               "descriptors": sorted(open_ones),
               "leads": os.getpid() == os.getpgid(0) == os.getsid(0)}}, to)
os.rename({told + ".new"!r}, {told!r})
""")
    name = "o'dd \"näme\" `id` $(id) \\n;x"
    labels = {"team": "web; rm -rf 'x' \"y\" $HOME", "Tier_1": "grün\\"}
    url = refused()
    daemon = Daemon(
        lab,
        configuration([{"name": name, "url": url, "labels": labels}], FAST, on_change={
            "command": [sys.executable, "-I", dump, "a b", "", "$TALLYD_SITE `id`"]}),
        env={"TALLYD_SECRET": "x", "CREDENTIALS_DIRECTORY": lab.dir, "HOME": "/nowhere",
             "TZ": "UTC", "TMPDIR": None, "LANG": "de_DE"})
    daemon.wait_for(lambda: os.path.exists(told), "a run")
    with open(told, encoding="utf-8") as file:
        seen = json.load(file)
    event = events(daemon, name)[0]
    assert event["labels"] == labels and event["url"] == url, event
    assert seen["environment"] == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "LANG": "C.UTF-8", "HOME": "/nowhere", "TZ": "UTC",
        "TALLYD_SITE": name, "TALLYD_URL": url, "TALLYD_FROM": "unknown", "TALLYD_TO": "down",
        "TALLYD_TIME": event["time"], "TALLYD_SINCE": "", "TALLYD_WHY": event["why"],
        "TALLYD_ROUND": str(event["round"]), "TALLYD_PLANNED": "10", "TALLYD_JUDGED": "10",
        "TALLYD_FAILED": "10", "TALLYD_TRY": "1", "TALLYD_REPLACED": "0",
        "TALLYD_LABEL_team": labels["team"], "TALLYD_LABEL_Tier_1": labels["Tier_1"],
    }, seen
    with open(os.path.join(PAGES, "tallyd.8"), encoding="utf-8") as file:
        page = file.read()
    for variable in seen["environment"]:
        assert re.search(rf"\b{variable.split('LABEL_')[0]}", page), f"{variable}: not in tallyd(8)"
    assert seen["words"] == ["a b", "", "$TALLYD_SITE `id`"], seen
    assert seen["cwd"] == "/" and seen["leads"], seen
    numbers = [fd for fd, _ in seen["descriptors"]]
    assert numbers == [0, 1, 2], seen
    assert seen["descriptors"][0][1] == "/dev/null", seen
    assert seen["descriptors"][1][1].startswith("pipe:"), seen
    assert seen["descriptors"][1] == [1, seen["descriptors"][2][1]], seen
    wait_for(lambda: not children(daemon.process.pid), "no child, not even a dead one")


@case
def a_site_that_limits_us_is_told_with_our_rate_and_the_keys(lab):
    site = Switched(lab, LIMITED)
    daemon = Daemon(lab, configuration({"limited": site.url}, FAST))
    daemon.wait_for(lambda: events(daemon, "limited"), "an event")
    event = events(daemon, "limited")[0]
    assert event["to"] == "down", event
    assert event["why"].endswith(
        "; most often 429: the site limits us, at 3000 requests a minute; lower samples (10) or "
        "raise interval (200ms)"), event


@case
def when_chooses_and_of_changes_that_wait_the_newest_is_told(lab):
    told, go = lab.path("told"), lab.path("go")
    slow = script(lab, "slow", f"""
echo "$TALLYD_FROM $TALLYD_TO $TALLYD_REPLACED" >> {told}
while [ ! -e {go} ]; do sleep 0.05; done
""")
    only_down = script(lab, "only-down", f'echo "$TALLYD_TO" >> {told}.down\n')
    site = Switched(lab, UNAVAILABLE)
    daemon = Daemon(lab, configuration({"shop": site.url}, FAST, on_change=[
        {"command": slow, "timeout": "60s"}, {"command": only_down, "when": "down"}]))
    daemon.wait_for(lambda: lines(told), "the first run")
    site.answer = OK
    daemon.wait_for(lambda: events(daemon, "shop")[-1]["to"] == "up", "up")
    changes = events(daemon, "shop")
    assert [(e["from"], e["to"]) for e in changes] == [
        ("unknown", "down"), ("down", "degraded"), ("degraded", "up")], changes
    assert "since" not in changes[0], changes
    assert [e["since"] for e in changes[1:]] == [e["time"] for e in changes[:-1]], changes
    assert re.search(r"0 of 10 samples failed in this round, .*; it was degraded for \d+s$",
                     changes[2]["why"]), changes
    daemon.wait_for_words("'shop', down to degraded: not told by ")
    open(go, "wb").close()
    daemon.wait_for(lambda: len(lines(told)) == 2, "the last run")
    assert lines(told) == ["unknown down 0", "degraded up 1"], lines(told)
    assert lines(told + ".down") == ["down"]
    daemon.write_config(configuration(
        [{"name": "shop", "url": site.url, "enabled": False},
         {"name": "other", "url": site.url}], FAST, on_change={"command": slow}))
    daemon.signal(signal.SIGHUP)
    daemon.wait_for(lambda: lines(told)[2:] == ["up paused 0"], "the news of a pause")
    check_log(daemon.stop())
    assert "given up" not in daemon.err(), daemon.err()


@case
def a_command_that_hangs_holds_up_no_round_and_is_killed_with_its_group(lab):
    pids = lab.path("pids")
    hangs = script(lab, "hangs", f"""
trap '' TERM
sleep 1000 &
echo $$ $! >> {pids}
wait
""")
    daemon = Daemon(lab, configuration({"a": refused(), "b": refused()}, FAST, on_change={
        "command": hangs, "timeout": "1s", "tries": 1}))
    first = daemon.wait_for(lambda: lines(pids), "the first run")[0].split()
    done = {name: len(daemon.reports(name)) for name in "ab"}
    while all(is_alive(pid) for pid in first):  # a run lasts 3 s, and 15 slots
        daemon.wait_for_reports(2)
    for name in "ab":
        assert len(daemon.reports(name)) > done[name] + 2, "rounds waited for the command"
    wait_for(lambda: not any(is_alive(pid) for pid in first), "the end of its whole group")
    daemon.wait_for_words("hangs had not ended after 1s; given up after 1 try")
    daemon.wait_for(lambda: len(lines(pids)) == 2, "the run for the other site")
    daemon.wait_for(lambda: daemon.err().count("had not ended after 1s") == 2, "its end")
    wait_for(lambda: not children(daemon.process.pid), "no child, not even a dead one")
    check_log(daemon.stop(), {"a": 0.2, "b": 0.2})


@case
def what_it_writes_is_in_the_log_safe_and_bounded(lab):
    writes = script(lab, "writes", r"""
printf '\033[31mred\007\000\r\n'
echo to stderr >&2
seq 1 100
head -c 1000000 /dev/zero
head -c 1000000 /dev/urandom
""")
    daemon = Daemon(lab, configuration({"a": refused()}, FAST, on_change={"command": writes}))
    said = daemon.wait_for_words("lines of output\n")
    with open(daemon.err_path, "rb") as file:
        data = file.read()
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", data), "controls in the log"
    assert len(data) < 20000, len(data)
    assert "on_change: 'a': output: \\x1b[31mred\\x07\\x00\\x0d\n" in said, said
    assert "on_change: 'a': output: to stderr\n" in said, said
    assert "on_change: 'a': output: 18\n" in said and "output: 19\n" not in said, said
    wait_for(lambda: not children(daemon.process.pid), "its end")
    assert "given up" not in daemon.err() and "try" not in daemon.err(), daemon.err()


@case
def what_fails_is_tried_again_and_given_up_with_its_reason(lab):
    told = lab.path("told")
    twice = script(lab, "twice", f'echo "$TALLYD_TRY" >> {told}; [ "$TALLYD_TRY" = 2 ]\n')
    never = script(lab, "never", "exit 7\n")
    killed = script(lab, "killed", "kill -KILL $$\n")
    daemon = Daemon(lab, configuration({"a": refused()}, FAST, on_change=[
        {"command": twice}, {"command": never, "tries": 2}, {"command": killed, "tries": 1},
        {"command": "/nowhere/at/all", "tries": 1}]))
    assert "warning: command: \"/nowhere/at/all\" cannot be run: No such file" in daemon.err() or \
        daemon.wait_for_words("warning: command: \"/nowhere/at/all\" cannot be run: No such file")
    for words in ("twice exited with status 1; try 1 of 4, the next in 1s",
                  "'a', unknown to down: told by try 2",
                  "never exited with status 7; try 1 of 2, the next in 1s",
                  "never exited with status 7; given up after 2 tries",
                  "killed ended by signal 9 (Killed); given up after 1 try",
                  "/nowhere/at/all could not be started: No such file or directory; given up"):
        daemon.wait_for_words(words)
    assert lines(told) == ["1", "2"], lines(told)
    wait_for(lambda: not children(daemon.process.pid), "no child, not even a dead one")


@case
def of_too_many_the_oldest_are_given_up_and_counted(lab):
    sites, fits = 1100, 1001  # one runs, a thousand wait
    started, url = lab.path("started"), refused()
    hangs = script(lab, "hangs", f'echo "$TALLYD_SITE" >> {started}\nexec sleep 1000\n')
    daemon = Daemon(lab, configuration(
        [{"name": f"s{i}", "url": f"{url}{i}"} for i in range(sites)],
        {"interval": "1s", "samples": 1, "concurrency": 1, "spread": "0s"},
        on_change={"command": hangs, "timeout": "1h", "when": "down"}))
    daemon.wait_for(lambda: sum(1 for r in daemon.records() if r["record"] == "event"
                                and r["to"] == "down") == sites, "all down", 120)
    daemon.signal(signal.SIGTERM)
    daemon.wait_for_words("stopping")
    daemon.wait_for_words("given up: tallyd stops")
    daemon.signal(signal.SIGTERM)
    status, err = daemon.wait(), daemon.err()
    # it does not wait for a log either, and says so
    assert status == (3 if "records could not be written" in err else 0), (status, err)
    dropped = [int(n) for n in re.findall(
        r"hangs: (\d+) changes? given up, the oldest first: more than 1000 wait", err)]
    assert sum(dropped) == sites - fits, (dropped, err)
    named = re.findall(r"on_change: '(s\d+)', \w+ to down: given up: tallyd stops", err)
    more = re.findall(r"hangs: (\d+) more changes given up: tallyd stops", err)
    assert len(named) == 10 and more == ["990"], (named, more)
    assert "hangs was killed: tallyd stops now" in err or \
        "had not ended when it had to; given up: tallyd stops" in err, err
    assert len(lines(started)) == 1, lines(started)


@case
def a_stop_gives_what_runs_a_little_time_and_what_waits_none(lab):
    told = lab.path("told")
    short = script(lab, "short", f'echo begun >> {told}; sleep 1; echo done >> {told}\n')
    hangs = script(lab, "hangs", "trap '' TERM\nwhile :; do sleep 1; done\n")
    daemon = Daemon(lab, configuration({"a": refused(), "b": refused()}, FAST, on_change=[
        {"command": short}, {"command": hangs, "timeout": "1h"}]))
    daemon.wait_for(lambda: lines(told) and len(children(daemon.process.pid)) == 2, "two runs")
    daemon.wait_for(lambda: events(daemon, "b"), "both down")
    check_log(daemon.stop())
    err = daemon.err()
    assert "begun" == lines(told)[0] and "done" in lines(told), lines(told)
    assert err.count("hangs had not ended when it had to; given up: tallyd stops") == 1, err
    assert re.search(r"'[ab]', unknown to down: given up: tallyd stops", err), err
    assert err.endswith("tallyd: stopped\n"), err


@case
def a_second_sigterm_waits_for_no_command(lab):
    hangs = script(lab, "hangs", "trap '' TERM\necho running\nwhile :; do sleep 1; done\n")
    daemon = Daemon(lab, configuration({"a": refused()}, FAST, on_change={
        "command": hangs, "timeout": "1h"}))
    daemon.wait_for_words("output: running")
    child = children(daemon.process.pid)[0]
    daemon.signal(signal.SIGTERM)
    daemon.wait_for_words("stopping: ")
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == 0, daemon.err()
    assert "hangs was killed: tallyd stops now" in daemon.err(), daemon.err()
    wait_for(lambda: not is_alive(child), "its death")


@case
def a_reload_lets_run_what_runs_and_takes_what_waits_along(lab):
    told, go = lab.path("told"), lab.path("go")
    stays = script(lab, "stays", f"""
echo "$TALLYD_SITE" >> {told}
while [ ! -e {go} ]; do sleep 0.05; done
echo "$TALLYD_SITE end" >> {told}
""")
    goes = script(lab, "goes", f"""
while [ ! -e {go} ]; do sleep 0.05; done
echo "$TALLYD_SITE" >> {told}.goes
""")
    comes = script(lab, "comes", f'echo "$TALLYD_SITE" >> {told}.comes\n')
    sites = {"a": refused(), "b": refused()}
    entry = {"command": [stays, "x"], "timeout": "60s"}
    daemon = Daemon(lab, configuration(sites, FAST, on_change=[
        entry, {"command": goes, "timeout": "60s"}]))
    daemon.wait_for(lambda: lines(told) and events(daemon, "a") and events(daemon, "b"), "events")
    first, = lines(told)
    other, = {"a", "b"} - {first}
    sites["c"] = refused()
    daemon.write_config(configuration(sites, FAST, on_change=[{"command": comes}, entry]))
    daemon.signal(signal.SIGHUP)
    daemon.wait_for_words("reloaded: ")
    daemon.wait_for_words("unknown to down: given up: the command is in the configuration no more")
    daemon.wait_for(lambda: lines(told + ".comes") == ["c"], "the new command")
    assert lines(told) == [first], lines(told)
    open(go, "wb").close()
    daemon.wait_for(lambda: len(lines(told)) == 6, "all told")
    assert lines(told) == [f"{site}{end}" for site in (first, other, "c") for end in ("", " end")]
    daemon.wait_for(lambda: lines(told + ".goes"), "the end of what ran")
    assert len(lines(told + ".goes")) == 1, lines(told + ".goes")
    wait_for(lambda: not children(daemon.process.pid), "no child, not even a dead one")
    daemon.write_config(configuration(sites, FAST))
    daemon.signal(signal.SIGHUP)
    daemon.wait_for(lambda: daemon.err().count("reloaded: ") == 2, "no command any more")
    check_log(daemon.stop(), {"a": 0.2, "b": 0.2})


main()
