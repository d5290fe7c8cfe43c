"""Reloads under load: nothing lost, doubled or reordered, and what stayed is undisturbed."""

import collections
import itertools
import json
import os
import random
import signal

from lab import (Daemon, Nginx, case, check_log, configuration, counts, main, slots, wait_for)
from lab.records import NOT_JUDGED

INTERVAL = 0.4
STABLE = 20
RELOADS = int(os.environ.get("TALLYD_RELOADS", "200"))


class Sites:
    """A configuration that changes, in the kinds of ways in which operators change theirs."""

    def __init__(self, lab, nginx, seed):
        self._nginx, self._random, self._made = nginx, random.Random(seed), 0
        self.stable = [f"stable{i}" for i in range(STABLE)]
        self.changing = [f"changing{i}" for i in range(10)]
        self.coming = [self._name() for _ in range(10)]
        self.samples = {name: 2 for name in self.changing}
        self.reloads = 0
        self.daemon = Daemon(lab, self.text())

    def _name(self):
        self._made += 1
        return f"coming{self._made}"

    def text(self):
        # stable ones stand between the others, as order is no part of what a site is
        rows = itertools.zip_longest(self.stable, self.changing, self.coming)
        return configuration(
            [{"name": name, "url": self._nginx.url("/200"),
              **({"samples": self.samples[name]} if name in self.samples else {})}
             for row in rows for name in row if name is not None],
            {"interval": f"{INTERVAL}s", "samples": 2})

    def hup(self, text):
        """One reload, to its end: signals that come together would be served together."""
        self.daemon.write_config(text)
        self.daemon.signal(signal.SIGHUP)
        self.reloads += 1
        self.daemon.wait_for(lambda: self.ended() == self.reloads, "the reload's own line")

    def ended(self):
        words = self.daemon.err()
        return words.count("tallyd: reloaded: ") + words.count("reload refused")

    def step(self):
        """One reload of a random kind."""
        kind = self._random.choice(["add", "remove", "change", "bad", "none", "swap"])
        if kind == "add" and len(self.coming) < 16:
            self.coming.insert(self._random.randrange(len(self.coming) + 1), self._name())
        elif kind == "remove" and len(self.coming) > 4:
            self.coming.pop(self._random.randrange(len(self.coming)))
        elif kind == "swap":
            self.coming[self._random.randrange(len(self.coming))] = self._name()
        elif kind == "change":
            name = self._random.choice(self.changing)
            self.samples[name] = 5 - self.samples[name]  # 2 or 3
        elif kind == "bad":
            self.hup(self.text() + "oops: [\n")
            return
        self.hup(self.text())

    def settle(self):
        """One more reload, and until it is in force."""
        marker = self._name()
        self.coming.append(marker)
        self.hup(self.text())
        self.daemon.wait_for(lambda: self.daemon.reports(marker), f"reports of {marker}")


@case
def two_hundred_reloads_lose_and_double_nothing_and_leave_the_others_alone(lab):
    seed = int.from_bytes(os.urandom(4), "big")
    lab.notes.append(lambda: f"seed {seed}")
    nginx = Nginx(lab)
    sites = Sites(lab, nginx, seed)
    sites.daemon.wait_for(lambda: all(sites.daemon.reports(n) for n in sites.stable), "all up")
    for i in range(1, RELOADS + 1):
        sites.step()
        if i % 10 == 0:
            sites.settle()
    log = sites.daemon.stop()
    # every report, the sequence, and that rounds + skipped are the slots of one unbroken phase
    check_log(log, {name: INTERVAL for name in sites.stable + sites.changing})
    assert not [r for r in log if r["record"] == "lost"], "records were lost"
    reports = [r for r in log if r["record"] == "report"]
    total = collections.Counter()
    for report in reports:
        total.update(counts(report))
        assert "not_sent" not in report["errors"] or report["took_ms"] >= INTERVAL * 1000, report
    # the last rounds end with the daemon; a busy machine may take a sample's turn, or its answer
    assert set(total) <= {"200", *NOT_JUDGED}, total
    missed = total["local_resource"]
    assert missed + total["not_sent"] <= total["200"] / 20, total
    wait_for(lambda: sum(nginx.requests().values()) >= total["200"], lambda: total)
    assert set(nginx.requests()) == {"200"}, nginx.requests()
    assert 0 <= nginx.requests()["200"] - total["200"] <= missed, (nginx.requests(), total)
    assert {r["planned"] for r in reports if r["site"].startswith("changing")} == {2, 3}
    stable_events = [r for r in log if r["record"] == "event" and r.get("site") in sites.stable]
    assert len(stable_events) <= STABLE, f"a reload changed a state: {stable_events}"
    for name in sites.stable:
        rounds = [r["round"] for r in reports if r["site"] == name]
        assert rounds == list(range(1, len(rounds) + 1)), f"{name}: {rounds}"


def started(lab, **top):
    nginx = Nginx(lab)
    urls = {f"s{i}": nginx.url() for i in range(12)}
    defaults = {"interval": f"{INTERVAL}s", "samples": 2}

    def text(names):
        return configuration({name: urls[name] for name in names}, defaults, **top)
    daemon = Daemon(lab, text(urls))
    daemon.wait_for(lambda: all(daemon.reports(name) for name in urls), "all up")
    return daemon, urls, text


def wait_for_another_of_each(daemon, names):
    have = {name: len(daemon.reports(name)) for name in names}
    daemon.wait_for(lambda: all(len(daemon.reports(name)) > have[name] + 1 for name in names),
                    "all go on")


@case
def a_bad_file_changes_nothing_and_every_error_is_told(lab):
    daemon, urls, _ = started(lab)
    before = len(daemon.err())
    daemon.write_config("defaults: {intervall: 1s}\nsites:\n  - ftp://127.0.0.1/\n  - {nam: x}\n")
    daemon.signal(signal.SIGHUP)
    for words in ("intervall", "interval", "ftp://127.0.0.1/", "nam", "tallyd.yaml:1:",
                  "tallyd.yaml:3:", "tallyd.yaml:4:"):
        daemon.wait_for_words(words, after=before)
    wait_for_another_of_each(daemon, urls)
    check_log(daemon.stop(), {name: INTERVAL for name in urls})


@case
def a_file_that_is_gone_changes_nothing_and_is_named(lab):
    daemon, urls, _ = started(lab)
    before = len(daemon.err())
    os.unlink(daemon.config_path)
    daemon.signal(signal.SIGHUP)
    daemon.wait_for_words(daemon.config_path, after=before)
    wait_for_another_of_each(daemon, urls)
    check_log(daemon.stop(), {name: INTERVAL for name in urls})


@case
def a_log_that_cannot_be_opened_refuses_the_whole_reload(lab):
    daemon, urls, text = started(lab)
    foreign = lab.write("foreign", "not a line of ours\n")
    for _ in range(2):  # refused once, it can be refused again
        before = len(daemon.err())
        config = json.loads(text(["s1", "s2", "s3", "s4", "s5", "s6", "s7"]))
        config["reports"] = [{"to": "file", "path": daemon.log_path, "format": "json"},
                             {"to": "file", "path": foreign}]
        daemon.write_config(json.dumps(config) + "\n")
        daemon.signal(signal.SIGHUP)
        daemon.wait_for_words("reload refused", after=before)
        assert foreign in daemon.err()[before:], daemon.err()
        wait_for_another_of_each(daemon, urls)
    check_log(daemon.stop(), {name: INTERVAL for name in urls})


@case
def a_reload_that_drops_more_than_half_is_refused(lab):
    daemon, urls, text = started(lab)
    before = len(daemon.err())
    daemon.write_config(text(["s1", "s2", "s3"]))
    daemon.signal(signal.SIGHUP)
    daemon.wait_for_words("max_removed", after=before)
    wait_for_another_of_each(daemon, urls)
    daemon.stop()


@case
def max_removed_allows_it(lab):
    daemon, urls, text = started(lab, max_removed=9)
    daemon.write_config(text(["s1", "s2", "s3"]))
    daemon.signal(signal.SIGHUP)

    def settled():
        last = daemon.reports()[-9:]
        return {report["site"] for report in last} == {"s1", "s2", "s3"}
    daemon.wait_for(settled, "only the three that are left")
    check_log(daemon.stop(), {name: INTERVAL for name in urls})


@case
def sites_that_stay_keep_their_phase_and_a_new_one_takes_the_largest_gap(lab):
    nginx = Nginx(lab)
    defaults = {"interval": "1s", "samples": 2, "spread": "0s"}
    daemon = Daemon(lab, configuration({f"s{i}": nginx.url() for i in range(4)}, defaults))
    daemon.wait_for(lambda: len(daemon.reports("s3")) >= 2, "two rounds")
    daemon.write_config(configuration(
        {name: nginx.url() for name in ("s0", "s1", "s3", "new")}, defaults))
    daemon.signal(signal.SIGHUP)
    daemon.wait_for(lambda: len(daemon.reports("new")) >= 3, "the new site")
    log = daemon.stop()
    check_log(log, {f"s{i}": 1.0 for i in (0, 1, 3)} | {"new": 1.0})

    def phase(site):
        origin = slots(log, "s0")[0]
        return round((slots(log, site)[-1] - origin) % 1.0, 2) % 1.0
    # with s2 gone, the gap from s1 (0.25) to s3 (0.75) is the largest: its middle is 0.5
    for site, wanted in (("s1", 0.25), ("s3", 0.75), ("new", 0.5)):
        assert abs(phase(site) - wanted) < 0.1, f"{site} at {phase(site)}, not {wanted}"


@case
def a_reload_without_a_change_leaves_no_trace_in_the_log(lab):
    daemon, urls, _ = started(lab)
    for _ in range(5):
        daemon.signal(signal.SIGHUP)
        wait_for_another_of_each(daemon, ["s0"])
    log = daemon.stop()
    events = [r for r in log if r["record"] == "event" and "site" in r]
    assert len({(e["site"], e["to"]) for e in events}) == len(events) <= len(urls), events
    check_log(log, {name: INTERVAL for name in urls})


main()
