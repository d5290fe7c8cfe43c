"""A restart: states go on and change nobody's mind, whatever has become of their file."""

import datetime
import itertools
import json
import os
import re
import signal

from lab import Daemon, Nginx, Origin, Skip, add_case, case, check_log, configuration, main, slots

FORGET = "the sites begin as unknown"
# root without what makes it read everything
PLAIN_ROOT = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
DEFAULTS = {"interval": "500ms", "samples": 10, "concurrency": 10, "spread": "0s"}
MIXED = {"good": "up", "mixed": "degraded", "bad": "down"}


def served(lab):
    """{name: URL}: one is up, of one each fifth answer is an error, and one is down."""
    nginx = Nginx(lab)
    numbers = itertools.count()

    def behave(connection):
        if connection.read_request():
            status = 503 if next(numbers) % 5 == 0 else 200
            connection.send(b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n\r\n" % status)
            connection.finish()
    return {"good": nginx.url("/200"), "mixed": Origin(lab, behave).url(), "bad": nginx.url("/503")}


def text_of(sites, **more):
    return configuration(sites, DEFAULTS, state_file="state.json", **more)


def states(daemon):
    """The last state of each site."""
    return {report["site"]: report["state"] for report in daemon.reports()}


def first_boot(lab, sites):
    """A daemon that found out how the sites are, and stopped."""
    daemon = Daemon(lab, text_of(sites), name="first")
    daemon.wait_for(lambda: states(daemon) == {name: MIXED[name] for name in sites}, "the states")
    check_log(daemon.stop())
    assert FORGET not in daemon.err(), daemon.err()
    return daemon


def later_boot(lab, sites, name, rounds=3, prefix=()):
    """Another daemon on the same state file, which has seen so many rounds of each site, and
    stopped."""
    daemon = Daemon(lab, text_of(sites), name=name, prefix=prefix)
    for site in sites:
        daemon.wait_for_reports(rounds, site)
    check_log(daemon.stop())
    return daemon


def events(daemon):
    return [(event["site"], event["from"], event["to"]) for event in daemon.records()
            if event["record"] == "event"]


def said(daemon):
    """What it said of its states."""
    return [line for line in daemon.err().splitlines() if "state" in line]


# ---- the file ----

def read_lines(lab):
    with open(lab.path("state.json"), encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def write_lines(lab, lines):
    """As the daemon does, with the sum that belongs to them."""
    data = b"".join(json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
                    for line in lines[:-1])
    total = 0xcbf29ce484222325
    for byte in data:
        total = (total ^ byte) * 0x100000001b3 & (1 << 64) - 1
    end = {"sites": len(lines) - 2, "sum": f"{total:016x}"}
    lab.write("state.json", data + json.dumps(end).encode() + b"\n")
    os.chmod(lab.path("state.json"), 0o600)


# ---- cases ----

@case
def degraded_down_and_up_go_on_without_an_event(lab):
    sites = served(lab)
    first = first_boot(lab, sites)
    before = {report["site"]: report for report in first.reports()}
    second = later_boot(lab, sites, "second")
    assert events(second) == [], events(second)
    log = second.records()
    assert log[0]["seq"] == 1 and log[0]["boot"] != before["good"]["boot"], log[0]
    for site in sites:
        report = second.first_report(site)
        assert report["state"] == MIXED[site], report
        assert report["round"] == before[site]["round"] + 1, (before[site], report)
        # five minutes are not over: what the first daemon saw is in the window
        assert report["window"]["samples"] == \
            before[site]["window"]["samples"] + report["judged"], report
    assert len(said(second)) == 1, said(second)
    assert re.search("restored the states of 3 sites from .*/state.json, [0-9] s old; 0 too old, "
                     "0 of another question", second.err()), second.err()
    assert os.stat(lab.path("state.json")).st_mode & 0o777 == 0o600
    # since when it is down is the first daemon's
    down = [record for record in first.records() if record["record"] == "event"
            and record["site"] == "bad"][-1]
    line = [line for line in read_lines(lab) if line.get("site") == "bad"][0]
    since = datetime.datetime.fromisoformat(down["time"].replace("Z", "+00:00")).timestamp()
    assert abs(line["wall_since_ns"] / 1e9 - since) < 0.002, (line, down)


@case
def what_asks_something_else_begins_anew_and_counts_on(lab):
    sites = served(lab)
    first = first_boot(lab, {"bad": sites["bad"]})
    last = first.reports("bad")[-1]
    daemon = Daemon(lab, text_of([{"name": "bad", "url": sites["good"]},
                                  {"name": "new", "url": sites["good"]}]), name="second")
    report = daemon.first_report("bad")
    assert report["state"] == "up" and report["round"] == last["round"] + 1, report
    report = daemon.first_report("new")
    assert report["state"] == "up" and report["round"] == 1, report
    daemon.stop()
    assert events(daemon) == []
    assert "0 sites" in daemon.err() and "1 of another question" in daemon.err(), daemon.err()


@case
def a_damaged_file_is_set_aside_and_said_once(lab):
    sites = {"good": served(lab)["good"]}
    first_boot(lab, sites)
    path = lab.path("state.json")
    with open(path, "rb") as file:
        good = file.read()

    def cut():
        lab.write("state.json", good[:len(good) // 2])

    def garbage():
        lab.write("state.json", os.urandom(5000))

    def zeros():  # what a power loss may leave where data were not synced
        lab.write("state.json", bytes(len(good)))

    def fifo():
        os.mkfifo(path)

    def writable_by_all():
        lab.write("state.json", good)
        os.chmod(path, 0o666)

    def of_a_later_format():
        lines = read_lines(lab)
        lines[0]["tallyd_state"] = 2
        write_lines(lab, lines)

    for damage in of_a_later_format, cut, garbage, zeros, fifo, writable_by_all:
        if damage is not of_a_later_format:
            os.unlink(path)  # what the daemon before has kept
        damage()
        daemon = later_boot(lab, sites, damage.__name__, rounds=1)
        assert events(daemon) == [], events(daemon)
        assert daemon.reports()[0]["round"] == 1, daemon.reports()[0]
        assert len(said(daemon)) == 1 and FORGET in daemon.err(), daemon.err()
        assert len(read_lines(lab)) == 3, "kept as ever"
    aside = sorted(name for name in os.listdir(lab.dir) if ".damaged-" in name)
    assert aside == [f"state.json.damaged-{i}" for i in (1, 2, 3)], aside


@case
def a_file_that_cannot_be_read_is_set_aside(lab):
    sites = {"good": served(lab)["good"]}
    first_boot(lab, sites)
    os.chmod(lab.path("state.json"), 0)
    daemon = later_boot(lab, sites, "second", rounds=1,
                        prefix=PLAIN_ROOT if os.getuid() == 0 else ())
    assert events(daemon) == [] and len(said(daemon)) == 1, daemon.err()
    assert "Permission denied" in daemon.err(), daemon.err()


@case
def a_clock_that_was_moved_does_no_harm(lab):
    sites = served(lab)
    first_boot(lab, sites)
    lines = read_lines(lab)
    hour, year = 3600 * 10**9, 365 * 86400 * 10**9
    another = "00000000-0000-0000-0000-000000000000"

    def boot(name, wall, boot_id=None, since_boot=0):
        moved = dict(lines[0], wall_ns=lines[0]["wall_ns"] + wall,
                     since_boot_ns=lines[0]["since_boot_ns"] + since_boot)
        if boot_id is not None:
            moved["boot_id"] = boot_id
        write_lines(lab, [moved, *lines[1:]])
        return later_boot(lab, sites, name, rounds=2)

    # the machine ran on: it knows better than the wall clock
    for name, wall in ("back", hour), ("years_back", 10 * year), ("years_on", -10 * year):
        daemon = boot(name, wall)
        assert events(daemon) == [], events(daemon)
        assert states(daemon) == MIXED and "restored the states of 3 sites" in daemon.err(), \
            daemon.err()
    # it was started since, a minute ago by its clock
    daemon = boot("rebooted", -60 * 10**9, another)
    assert events(daemon) == [] and states(daemon) == MIXED, events(daemon)
    # it was started since, and its clock tells no age that could be: all begin as unknown
    for name, wall in ("from_the_future", hour), ("far_future", 10 * year), ("too_old", -year):
        daemon = boot(name, wall, another)
        assert all(was == "unknown" and MIXED[site] == to for site, was, to in events(daemon)), \
            events(daemon)
        assert len(said(daemon)) == 1, said(daemon)
        words = "3 too old" if name == "too_old" else "is from the future"
        assert words in daemon.err(), daemon.err()
        assert daemon.first_report("good")["round"] == 1
    # eleven minutes off: also a machine that was suspended for so long has an old file
    daemon = boot("suspended", 0, since_boot=-11 * 60 * 10**9)
    assert "3 too old" in daemon.err() and daemon.first_report("good")["round"] == 1, daemon.err()


@case
def no_herd_begins_after_a_restart(lab):
    url = Nginx(lab).url("/200")
    sites = {f"site{i:02}": url for i in range(20)}
    text = configuration(sites, {"interval": "2s", "samples": 1}, state_file="state.json")
    first = Daemon(lab, text, name="first")
    first.wait_for(lambda: len(states(first)) == 20, "a round of each")
    first.stop()
    second = Daemon(lab, text, name="second")
    second.wait_for(lambda: len(states(second)) == 20, "a round of each")
    second.stop()
    log = second.records()
    check_log(log, {site: 2.0 for site in sites})
    begun = sorted(slots(log, site)[0] for site in sites)
    # the slots, however late the rounds were: each site has one of its own
    assert [round((slot - begun[0]) / 0.1) for slot in begun] == list(range(20)), begun
    assert all(second.reports(site)[0]["round"] > 1 for site in sites)


@case
def a_full_disk_is_said_once_and_costs_the_states_alone(lab):
    if os.getuid() != 0:
        raise Skip("mounting a small file system needs root")
    small = lab.path("small")
    os.mkdir(small)
    url = Nginx(lab).url("/200")
    # a page: the lock has none, and what is to be kept has more
    text = configuration({f"site{i:02}": url for i in range(20)}, DEFAULTS,
                         state_file=f"{small}/state.json")
    daemon = Daemon(lab, text, prefix=["unshare", "--mount", "--propagation", "private", "sh", "-c",
                                       f"mount -t tmpfs -o size=4k small {small} && exec \"$@\"",
                                       "sh"])
    daemon.wait_for(lambda: len(states(daemon)) == 20, "a round of each")
    check_log(daemon.stop())
    assert len(said(daemon)) == 2, said(daemon)
    assert "cannot be kept" in said(daemon)[0] and "No space left" in said(daemon)[0], said(daemon)
    assert "are not kept" in said(daemon)[1], said(daemon)


@case
def without_a_state_file_nothing_is_kept(lab):
    sites = {"bad": served(lab)["bad"]}
    daemon = Daemon(lab, configuration(sites, DEFAULTS), name="first")
    daemon.wait_for(lambda: states(daemon) == {"bad": "down"}, "a state")
    daemon.stop()
    assert not [name for name in os.listdir(lab.dir) if "state" in name], os.listdir(lab.dir)
    # systemd's directory, the first of two, does as well as a key
    kept = lab.path("kept")
    os.mkdir(kept)
    for name, number in ("second", 1), ("third", 3):
        daemon = Daemon(lab, configuration(sites, DEFAULTS), name=name,
                        env={"STATE_DIRECTORY": f"{kept}:{lab.path('other')}"})
        assert daemon.first_report()["round"] >= number
        daemon.wait_for_reports(2)
        daemon.stop()
        assert sorted(os.listdir(kept)) == ["state.json", "state.json.lock"], os.listdir(kept)
    assert events(daemon) == [], events(daemon)


@case
def another_state_file_waits_for_the_next_start(lab):
    sites = {"good": served(lab)["good"]}
    daemon = Daemon(lab, text_of(sites))
    daemon.first_report()
    daemon.write_config(configuration(sites, DEFAULTS, state_file="other.json"))
    daemon.signal(signal.SIGHUP)
    daemon.wait_for_words("reloaded: 1 site")
    daemon.stop()
    assert f"state_file: {lab.path('other.json')} takes effect with the next start" in daemon.err()
    assert os.path.exists(lab.path("state.json")), os.listdir(lab.dir)
    assert not os.path.exists(lab.path("other.json")), os.listdir(lab.dir)


def begin_to_wait(lab):
    """A daemon that keeps what it knows from time to time, of which it has none yet."""
    sites = {"bad": served(lab)["bad"]}
    return sites, Daemon(lab, configuration(sites, dict(DEFAULTS, interval="1s"),
                                            state_file="state.json"), name="first")


def a_daemon_that_was_killed_goes_on_from_what_was_kept_meanwhile(lab, begun):
    sites, daemon = begun
    path = lab.path("state.json")
    daemon.wait_for(lambda: os.path.exists(path), "a state file")
    daemon.process.send_signal(signal.SIGKILL)
    daemon.process.wait()
    line = read_lines(lab)[1]
    assert line["state"] == "down", line
    second = later_boot(lab, sites, "second", rounds=1)
    assert events(second) == [], events(second)
    report = second.first_report()
    assert report["state"] == "down" and report["round"] == line["round"] + 1, report


add_case("a daemon that was killed goes on from what was kept meanwhile",
         a_daemon_that_was_killed_goes_on_from_what_was_kept_meanwhile, begin_to_wait)

main()
