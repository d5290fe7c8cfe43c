"""States: judged as a round closes, by the site's own keys; paused where it is not sampled."""

import signal
import threading

from lab import Daemon, Origin, case, configuration, main

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
BAD = b"HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno"
HASTY = {"down_rounds": 1}  # the first round that fails whole


class Farm:
    """/bad answers 503, /held only once it is opened, all else 200."""

    def __init__(self, lab):
        self.opened = threading.Event()
        self.origin = Origin(lab, self._behave)
        lab.callback(self.opened.set)

    def _behave(self, connection):
        if not connection.read_request():
            return
        if connection.path == "/held":
            self.opened.wait(60)
        connection.send(BAD if connection.path == "/bad" else GOOD)
        connection.finish()

    def site(self, name, path, **more):
        return {"name": name, "url": self.origin.url(path), **more}


def events(daemon, site):
    return [record for record in daemon.records()
            if record["record"] == "event" and record["site"] == site]


def changes(daemon, site):
    return [(event["from"], event["to"]) for event in events(daemon, site)]


@case
def a_verdict_waits_for_no_report_that_is_before_it(lab):
    farm = Farm(lab)
    sites = [farm.site("held", "/held"), farm.site("bad", "/bad", health=HASTY),
             *(farm.site(f"later{i}", "/") for i in range(14))]
    # bad begins a second after held, whose report is before bad's for 15 s more
    daemon = Daemon(lab, configuration(sites, {"interval": "16s", "timeout": "15.9s",
                                               "samples": 2, "spread": "0s"}))
    daemon.wait_for(lambda: events(daemon, "bad"), "the event of the second site")
    assert daemon.reports() == [], "its report did not wait: the case tells nothing"
    farm.opened.set()
    daemon.wait_for(lambda: daemon.reports("bad"), "its report")
    records = daemon.records()
    event = events(daemon, "bad")[0]
    held, bad = daemon.reports()[:2]
    assert [held["site"], bad["site"]] == ["held", "bad"], records
    assert (event["from"], event["to"], event["round"]) == ("unknown", "down", bad["round"]), event
    assert event["seq"] < held["seq"] < bad["seq"], records
    assert bad["state"] == "down" and held["state"] == "up", records


@case
def every_report_tells_state_level_and_window(lab):
    farm = Farm(lab)
    sites = [farm.site("good", "/"), farm.site("bad", "/bad", health={"degraded_at": 5})]
    daemon = Daemon(lab, configuration(sites, {"interval": "1s", "samples": 4},
                                       reports=[{"to": "file", "path": "{log}", "format": "json"},
                                                {"to": "file", "path": "{log}.line"}]))
    daemon.wait_for_reports(4, "bad")
    daemon.wait_for_reports(1, "good")
    for report in daemon.reports("good"):
        assert (report["state"], report["level"]) == ("up", 0), report
    # 2.5 failures of 5 a round; 3 rounds of fewer than ten samples until it is down
    levels = [report["level"] for report in daemon.reports("bad")]
    assert levels[:3] == [0.5, 1, 1], levels
    states = [report["state"] for report in daemon.reports("bad")]
    assert states[:4] == ["unknown", "degraded", "down", "down"], states
    window = daemon.reports("bad")[1]["window"]
    assert (window["samples"], window["failed"], window["high"]) == (8, 8, 1), window
    assert 0.6 < window["low"] < 0.7, window  # 8 of 8: 0.676
    with open(daemon.log_path + ".line", encoding="utf-8") as file:
        lines = file.read().splitlines()
    assert any(" site=bad state=unknown " in line for line in lines), lines
    assert all(" state=" in line for line in lines if " record=" not in line), lines


def reload(daemon, text):
    before = daemon.err().count("tallyd: reloaded: ")
    daemon.write_config(text)
    daemon.signal(signal.SIGHUP)
    daemon.wait_for(lambda: daemon.err().count("tallyd: reloaded: ") > before, "the reload")


@case
def a_reload_pauses_a_site_and_it_comes_back_unknown(lab):
    farm = Farm(lab)

    def text(**more):
        return configuration([farm.site("good", "/", **more),
                              farm.site("bad", "/bad", health=HASTY, **more),
                              farm.site("other", "/")], {"interval": "800ms", "samples": 4})
    daemon = Daemon(lab, text())
    daemon.wait_for_reports(1, "good")
    daemon.wait_for(lambda: changes(daemon, "bad"), "the bad site's first event")
    reload(daemon, text(enabled=False))
    daemon.wait_for(lambda: ("down", "paused") in changes(daemon, "bad"), "the pause")
    down, paused = events(daemon, "bad")
    assert paused["since"] == down["time"] and "enabled: no" in paused["why"], paused
    assert "round" not in paused, paused
    assert changes(daemon, "good") == [("up", "paused")], daemon.records()
    # what was in flight then is over long before two rounds more of the other have been
    daemon.wait_for_reports(2, "other")
    before = len(daemon.reports("good")), len(daemon.reports("bad"))
    daemon.wait_for_reports(3, "other")
    assert (len(daemon.reports("good")), len(daemon.reports("bad"))) == before, "it goes on"
    for site in ("good", "bad"):
        for report in daemon.reports(site):
            assert report["seq"] < paused["seq"] or report["state"] == "paused", report
    reload(daemon, text())
    daemon.wait_for(lambda: len(events(daemon, "bad")) == 3, "the bad site is told again")
    daemon.wait_for_reports(1, "good")
    assert changes(daemon, "bad")[2] == ("unknown", "down"), daemon.records()
    assert events(daemon, "bad")[2]["since"] > paused["time"], daemon.records()
    assert daemon.reports("good")[-1]["state"] == "up"
    assert changes(daemon, "good") == [("up", "paused")], "coming back is no event"
    assert changes(daemon, "other") == []


main()
