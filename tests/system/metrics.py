"""A real Prometheus scrapes: what it has stored equals what the reports in the log say."""

import os
import re
import signal
import subprocess
import time

from lab import (CertificateAuthority, Daemon, Nginx, Origin, answer, case, check_log,
                 configuration, main, process)
from lab.web import Prometheus, get, get_json, metrics, need, value

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "../.."))
RULES = os.path.join(ROOT, "config/prometheus/rules.yml")
SECONDS = float(os.environ.get("TALLYD_SCRAPE_SECONDS", "8"))  # 30 in a long run
OURS = "aborted local_resource not_sent".split()
REASONS = "error status header body certificate latency".split()


def promtool(*arguments, text=None):
    need("promtool")
    done = subprocess.run(["promtool", *arguments], input=text, capture_output=True, text=True,
                          check=False)
    return done.returncode, done.stdout + done.stderr


def start(lab, sites, **top):
    port = process.free_port()
    daemon = Daemon(lab, configuration(sites, {"interval": "500ms", "samples": 6,
                                               "timeout": "400ms", "dns_timeout": "400ms"},
                                       status={"listen": f"127.0.0.1:{port}"}, **top))
    daemon.first_report()
    return daemon, port


def three_sites(nginx):
    return [{"name": "good", "url": nginx.url("/200"), "labels": {"team": "web", "site": "x"}},
            {"name": 'b"ad \\', "url": nginx.url("/503")},
            {"name": "away", "url": f"http://127.0.0.1:{process.free_port()}/"},
            {"name": "paused", "url": nginx.url("/200"), "enabled": False}]


def sums(reports):
    """What each series of a counter must be, of the reports of one site."""
    wanted = {("tallyd_rounds_total",): len(reports)}

    def add(n, *key):
        wanted[key] = wanted.get(key, 0) + n
    for report in reports:
        add(report["skipped"], "tallyd_slots_skipped_total")
        add(report["planned"], "tallyd_samples_planned_total")
        add(report["judged"], "tallyd_samples_judged_total")
        for code, n in report["codes"].items():
            add(n, "tallyd_samples_total", code)
            add(n, "tallyd_latency_seconds_count")
        for name, n in report["errors"].items():
            add(n, "tallyd_sample_errors_total", name)
        for reason, n in report["reasons"].items():
            add(n, "tallyd_failed_total", reason)
    for reason in REASONS:
        add(0, "tallyd_failed_total", reason)
    for name in OURS:
        add(0, "tallyd_sample_errors_total", name)
    add(0, "tallyd_latency_seconds_count")
    return wanted


KEYS = {"tallyd_samples_total": "code", "tallyd_sample_errors_total": "class",
        "tallyd_failed_total": "reason"}


def stored(prometheus, site, names):
    found = {}
    for name in names:
        for labels, number in prometheus.query(f"{name}{{site={quote(site)}}}"):
            key = (name, labels[KEYS[name]]) if name in KEYS else (name,)
            assert key not in found, key
            found[key] = number
    return found


def quote(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@case
def what_prometheus_has_stored_equals_the_reports(lab):
    with open(RULES, encoding="utf-8") as file:
        # at once, as for a test nobody waits for minutes
        rules = lab.write("rules.yml", re.sub(r"(?m)^( +for:).*$", r"\1 1s", file.read()))
    nginx = Nginx(lab)
    sites = three_sites(nginx)
    daemon, port = start(lab, sites)
    prometheus = Prometheus(lab, port, rules)
    wanted_alerts = {("TallydSiteDown", 'b"ad \\'), ("TallydSiteDown", "away")}
    process.wait_for(lambda: wanted_alerts <= prometheus.firing(), "the alerts", 60)
    assert not {site for alert, site in prometheus.firing() if site in ("good", "paused")}, \
        prometheus.firing()
    rounds = int(SECONDS / 0.5)
    daemon.wait_for(lambda: len(daemon.reports("good")) >= rounds, "the rounds", 120)
    # from here on nothing changes any more: no slot comes, as every site is paused
    for site in sites:
        site["enabled"] = False
    daemon.write_config(configuration(sites, {"interval": "500ms", "samples": 6,
                                              "timeout": "400ms", "dns_timeout": "400ms"},
                                      status={"listen": f"127.0.0.1:{port}"}))
    daemon.signal(signal.SIGHUP)
    daemon.wait_for_words("tallyd: reloaded: ")
    daemon.wait_for(lambda: value(metrics(port), "tallyd_rounds_running") == 0, "the last round")
    running = daemon.reports
    for name in ("good", 'b"ad \\', "away"):
        daemon.wait_for(
            lambda name=name: value(
                metrics(port), "tallyd_rounds_total", site=name,
                **({"team": "web", "label_site": "x"} if name == "good" else {})
            ) == len(running(name)), "the log to have what the metrics have")
        wanted = sums(running(name))
        assert wanted[("tallyd_rounds_total",)] >= (rounds if name == "good" else 1), wanted
        names = {key[0] for key in wanted}
        process.wait_for(lambda name=name, wanted=wanted, names=names:
                         stored(prometheus, name, names) == wanted,
                         f"{name}: {wanted} and not {stored(prometheus, name, names)}", 20)
    check_log(daemon.stop())


@case
def promtool_finds_nothing_wrong(lab):
    daemon, port = start(lab, three_sites(Nginx(lab)))
    daemon.wait_for_reports(6)
    status, text = promtool("check", "metrics", text=get(port, "/metrics")[1])
    assert (status, text) == (0, ""), (status, text)


@case
def the_shipped_rules_and_configuration_are_good(_lab):
    for arguments in (["check", "config", os.path.join(ROOT, "config/prometheus/tallyd.yml")],
                      ["check", "rules", RULES],
                      ["test", "rules", os.path.join(ROOT, "tests/system/prometheus_rules.yml")]):
        status, text = promtool(*arguments)
        assert status == 0 and "SUCCESS" in text, (arguments, text)


@case
def rules_and_dashboard_name_metrics_that_there_are(lab):
    daemon, port = start(lab, three_sites(Nginx(lab)))
    daemon.wait_for_reports(6)
    there = {name for name, _ in metrics(port)}
    # what no site of this test can have
    there |= {"tallyd_certificate_expiry_timestamp_seconds", "tallyd_failed"}
    for path in ("config/prometheus/rules.yml", "config/grafana/tallyd.json"):
        with open(os.path.join(ROOT, path), encoding="utf-8") as file:
            named = set(re.findall(r"\b(?:tallyd|process)_[a-z_]+", file.read()))
        assert len(named) >= 8, (path, named)
        assert named <= there, (path, named - there)


@case
def rates_of_the_rules_are_of_series_that_are_there_before_the_first_sample(lab):
    _, port = start(lab, three_sites(Nginx(lab)))
    there = metrics(port)
    with open(RULES, encoding="utf-8") as file:
        rates = re.findall(r'(?:rate|increase)\((\w+)(?:{class=~"([^"]+)"})?\[', file.read())
    assert len(rates) >= 4, rates
    for name, classes in rates:
        for each in classes.split("|"):
            labels = {"class": each} if each else {}
            found = [dict(key[1]) for key in there if key[0] == name
                     and dict(key[1]).get("site", "paused") == "paused"
                     and labels.items() <= dict(key[1]).items()]
            assert found, (name, labels)


@case
def series_of_a_removed_site_go_and_others_go_on(lab):
    nginx = Nginx(lab)
    sites = three_sites(nginx)
    daemon, port = start(lab, sites)
    daemon.wait_for_reports(2, "good")
    before = value(metrics(port), "tallyd_rounds_total", site="good", team="web", label_site="x")
    del sites[1]
    text = configuration(sites, {"interval": "500ms", "samples": 6, "timeout": "400ms",
                                 "dns_timeout": "400ms"},
                         status={"listen": f"127.0.0.1:{port}"})
    daemon.write_config(text)
    daemon.signal(signal.SIGHUP)
    daemon.wait_for_words("tallyd: reloaded: ")
    daemon.wait_for(lambda: value(metrics(port), "tallyd_reloads_total", result="applied") == 1,
                    "the reload in the metrics")
    after = metrics(port)
    assert not [key for key in after if ("site", 'b"ad \\') in key[1]], after
    assert value(after, "tallyd_rounds_total", site="good", team="web", label_site="x") >= before
    daemon.write_config("sites: [")
    daemon.signal(signal.SIGHUP)
    daemon.wait_for(lambda: value(metrics(port), "tallyd_reloads_total", result="refused") == 1,
                    "the refused reload in the metrics")
    assert value(metrics(port), "tallyd_config_last_reload_successful") == 0


@case
def the_api_says_what_the_reports_say(lab):
    daemon, port = start(lab, three_sites(Nginx(lab)))
    daemon.wait_for_reports(3, 'b"ad \\')
    told = get_json(port, "/api/v1/sites/b%22ad%20%5C")
    last = told["last"]
    daemon.wait_for(lambda: last["round"] in [r["round"] for r in daemon.reports('b"ad \\')],
                    "the report in the log")
    report = next(r for r in daemon.reports('b"ad \\') if r["round"] == last["round"])
    for key, known in last.items():
        assert report[key] == known, (key, report[key], known)
    assert told["site"]["state"] == report["state"] == told["rounds"][0]["state"]
    assert told["site"]["window"] == report["window"], (told, report)
    assert told["rounds"][0]["outcomes"] == {"503": 6}, told["rounds"]
    sites = {site["site"]: site for site in get_json(port, "/api/v1/sites")["sites"]}
    assert list(sites) == ["good", 'b"ad \\', "away", "paused"], list(sites)
    assert sites["paused"]["state"] == "paused" and sites["good"]["labels"]["team"] == "web"
    assert get(port, "/api/v1/sites/nobody")[0] == 404


@case
def the_certificate_that_ends_first_is_told_without_being_asked_for(lab):
    ca = CertificateAuthority(lab)  # what it issues ends in 30 days
    origin = Origin(lab, answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
                    ca.issue("127.0.0.1"))
    port = process.free_port()
    daemon = Daemon(lab, configuration({"tls": origin.url()}, {"tls": {"ca": ca.certificate}},
                                       status={"listen": f"127.0.0.1:{port}"}))
    name, labels = "tallyd_certificate_expiry_timestamp_seconds", frozenset({("site", "tls")})
    daemon.first_report()
    daemon.wait_for(lambda: (name, labels) in metrics(port), "the series")
    left = metrics(port)[name, labels] - time.time()
    assert 28 * 86400 < left < 31 * 86400, left


main()
