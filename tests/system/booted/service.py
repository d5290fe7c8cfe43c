"""The service, as systemd runs it: these cases are for a machine that was booted for them
(lab/boot), on which tallyd is installed and nothing else needs it."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess

from lab import (CertificateAuthority, Origin, Recorder, case, check_log, check_words, free_port,
                 main, values, wait_for)

CONFIG, LOGS = "/etc/tallyd/tallyd.yaml", "/var/log/tallyd"
LOG = f"{LOGS}/reports.log"
DROP_INS = "/run/systemd/system/tallyd.service.d"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
BAD = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"


def run(*command, status=0):
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60,
                          stdin=subprocess.DEVNULL)
    assert status is None or done.returncode == status, done
    return done.stdout + done.stderr if status != 0 else done.stdout


def journal(*matches):
    """[object] of all that the service said, or of what matches."""
    run("journalctl", "--sync")
    lines = run("journalctl", "-o", "json", "--no-pager", "-b", *matches).splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]


def until(path):
    """A behaviour: 200, until there is something at that path; 503 from then on."""
    return Recorder(lambda _: BAD if os.path.exists(path) else OK)


class Service:
    """The service with a configuration, stopped, and without logs and state; stopped in the end."""

    def __init__(self, lab, sites, defaults=None, drop_in="", reports=None, **top):
        self._lab = lab
        self._stop()
        for path in ("/var/log/private/tallyd", "/var/lib/private/tallyd", DROP_INS):
            shutil.rmtree(path, ignore_errors=True)
        self.configure(sites, defaults, reports, **top)
        if drop_in:
            self.drop_in(drop_in)
        run("systemctl", "daemon-reload")
        self.began = run("journalctl", "--show-cursor", "-n", "0", "-q").strip()
        lab.callback(self._stop)
        lab.notes.append(lambda: "\n".join(str(line["MESSAGE"]) for line in self.said())[-4000:])

    @staticmethod
    def _stop():
        run("systemctl", "stop", "tallyd", status=None)
        run("systemctl", "reset-failed", "tallyd", status=None)

    @staticmethod
    def drop_in(text):
        os.makedirs(DROP_INS, exist_ok=True)
        with open(f"{DROP_INS}/test.conf", "w", encoding="utf-8") as file:
            file.write("[Service]\n" + text + "\n")

    @staticmethod
    def write(text):
        os.makedirs(os.path.dirname(CONFIG), exist_ok=True)
        with open(CONFIG + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(CONFIG + ".new", CONFIG)

    def configure(self, sites, defaults=None, reports=None, **top):
        self.write(json.dumps({
            "defaults": {"interval": "200ms", "samples": 4, "concurrency": 4, **(defaults or {})},
            "reports": reports or [{"to": "file", "path": LOG, "format": "json"}],
            "sites": [site if isinstance(site, dict) else {"name": name, "url": site}
                      for name, site in sites.items()], **top}) + "\n")

    def start(self):
        run("systemctl", "start", "tallyd")

    def show(self, *names):
        """{property: value}, all of one moment."""
        shown = run("systemctl", "show", "-p", ",".join(names), "tallyd")
        return dict(line.split("=", 1) for line in shown.splitlines())

    def pid(self):
        return int(self.show("MainPID")["MainPID"])

    def wait_for(self, condition, what, limit=20.0):
        return wait_for(condition, lambda: f"{what}; {self.show('ActiveState', 'StatusText')}",
                        limit)

    def wait_for_status(self, pattern):
        return self.wait_for(lambda: re.search(pattern, self.show("StatusText")["StatusText"]),
                             f"the status {pattern!r}")

    def wait_for_another(self, pid):
        def another():
            now = self.show("ActiveState", "MainPID")
            return now["ActiveState"] == "active" and now["MainPID"] not in ("0", str(pid))
        self.wait_for(another, "another process")

    def said(self):
        """What systemd and the service said since this began."""
        return journal("-u", "tallyd", f"--after-cursor={self.began.split(': ', 1)[1]}")

    def wait_for_words(self, words):
        return self.wait_for(
            lambda: next((line for line in self.said() if words in str(line["MESSAGE"])), None),
            f"{words!r}")

    @staticmethod
    def records(path=LOG):
        try:
            with open(path, encoding="utf-8") as file:
                text = file.read()
        except FileNotFoundError:
            return []
        return [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]

    def reports(self, site=None):
        return [record for record in self.records() if record["record"] == "report"
                and (site is None or record["site"] == site)]

    def wait_for_reports(self, n, site=None):
        target = len(self.reports(site)) + n
        self.wait_for(lambda: len(self.reports(site)) >= target, f"{n} reports")

    def stop(self):
        run("systemctl", "stop", "tallyd")
        assert self.show("Result")["Result"] == "success", self.show("Result")
        for line in self.said():
            check_words(str(line["MESSAGE"]))


@case
def the_unit_has_no_fault_and_is_exposed_little(_lab):
    said = run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no", "tallyd.service")
    assert said == "", said
    run("systemd-analyze", "security", "--no-pager", "--threshold=12", "tallyd.service")
    unit = run("systemctl", "cat", "tallyd.service").splitlines()[0][2:]
    run("systemd-analyze", "security", "--no-pager", "--offline=yes", "--threshold=12", unit)


@case
def it_is_active_when_the_first_configuration_runs_and_says_how_the_sites_are(lab):
    good, bad = Origin(lab, Recorder(OK)), Origin(lab, Recorder(BAD))
    service = Service(lab, {"good": good.url(), "bad": bad.url()})
    service.start()
    assert service.show("ActiveState", "SubState") == {
        "ActiveState": "active", "SubState": "running"}
    service.wait_for_reports(2)
    service.wait_for_status(r"^2 sites, 0 degraded, 1 down; [1-9][0-9.]* samples/s$")
    check_log(service.records())
    service.stop()


@case
def its_own_messages_have_priorities_and_reports_are_in_its_directory(lab):
    service = Service(lab, {"good": Origin(lab, Recorder(OK)).url()}, {"intervall": "1s"})
    run("systemctl", "start", "tallyd", status=1)
    service.configure({"good": Origin(lab, Recorder(OK)).url()})
    service.start()
    assert service.wait_for_words("version ")["PRIORITY"] == "5"
    status = os.stat("/var/log/private/tallyd")
    assert os.path.islink(LOGS) and status.st_uid >= 61184, status
    service.wait_for_reports(1)
    service.stop()
    assert os.path.getsize("/var/lib/tallyd/state.json") > 0


@case
def a_reload_keeps_the_process_and_the_states(lab):
    bad = Origin(lab, Recorder(BAD))
    service = Service(lab, {"bad": bad.url()})
    service.start()
    pid = service.pid()
    service.wait_for_status("1 site, 0 degraded, 1 down")
    service.configure({"bad": bad.url(), "more": Origin(lab, Recorder(OK)).url()})
    run("systemctl", "reload", "tallyd")
    service.wait_for_words("reloaded: 2 sites; 1 added")
    service.wait_for_status("^2 sites, 0 degraded, 1 down")
    service.wait_for_reports(2, "bad")
    assert service.pid() == pid
    states = [report["state"] for report in service.reports("bad")]
    assert states.index("down") and set(states[states.index("down"):]) == {"down"}, states
    service.stop()
    check_log(service.records(), {"bad": 0.2})


@case
def a_bad_configuration_at_a_reload_leaves_the_old_one_running_and_is_told(lab):
    service = Service(lab, {"good": Origin(lab, Recorder(OK)).url()})
    service.start()
    pid = service.pid()
    with open(CONFIG, encoding="utf-8") as file:
        good = file.read()
    service.write(good.replace("interval", "intervall"))
    run("systemctl", "reload", "tallyd")
    service.wait_for_status("; the last reload was refused: /etc/tallyd/tallyd.yaml has 1 error; "
                            "`tallyd check -c /etc/tallyd/tallyd.yaml` tells it$")
    assert service.wait_for_words("reload refused, the old configuration stays")["PRIORITY"] == "3"
    service.wait_for_words("intervall")
    service.wait_for_reports(2)
    assert service.pid() == pid and service.show("ActiveState")["ActiveState"] == "active"
    service.write(good)
    run("systemctl", "reload", "tallyd")
    service.wait_for_status("samples/s$")
    service.stop()


@case
def a_bad_configuration_at_the_start_fails_once_with_the_message_in_the_journal(lab):
    service = Service(lab, {"good": "http://127.0.0.1:1/"}, {"intervall": "1s"})
    run("systemctl", "start", "tallyd", status=1)
    service.wait_for_words('unknown key "intervall"')
    shown = service.show("Result", "ExecMainStatus", "NRestarts", "ActiveState")
    assert shown == {"Result": "exit-code", "ExecMainStatus": "2", "NRestarts": "0",
                     "ActiveState": "failed"}, shown


@case
def after_sigkill_it_is_started_again_without_a_torn_line_or_a_false_state(lab):
    service = Service(lab, {f"s{i}": Origin(lab, Recorder(OK)).url() for i in range(8)},
                      {"interval": "1s"}, drop_in="RestartSec=100ms")
    service.start()
    for _ in range(3):
        service.wait_for_reports(8 * 2)
        pid = service.pid()
        run("systemctl", "kill", "--kill-whom=main", "-s", "KILL", "tallyd")
        service.wait_for_another(pid)
    service.wait_for_reports(8)
    service.stop()
    records = service.records()
    check_log(records)
    assert len({record["boot"] for record in records}) == 4
    events = [record for record in records if record["record"] == "event"]
    assert not events, (events, records[-20:])


def hang(lab, what):
    service = Service(lab, {"good": Origin(lab, Recorder(OK)).url()}, drop_in=f"""WatchdogSec=2s
RestartSec=100ms
Environment=LD_PRELOAD={os.path.dirname(os.path.dirname(__file__))}/stall.so
Environment=STALL=/run/tallyd""")
    service.start()
    service.wait_for_reports(15)  # 3 s, all of them fed
    pid = service.pid()
    assert service.show("NRestarts")["NRestarts"] == "0"
    with open(f"/run/tallyd/{what}", "w", encoding="ascii"):
        pass
    service.wait_for_words("Watchdog timeout")
    service.wait_for_another(pid)  # its directory in /run is another one, too
    service.wait_for_reports(2)
    service.stop()
    check_log(service.records())


@case
def a_control_loop_that_hangs_is_killed_by_the_watchdog(lab):
    hang(lab, "tallyd")


@case
def a_sampling_loop_that_hangs_is_killed_by_the_watchdog(lab):
    hang(lab, "sampling-0")


@case
def a_writer_that_hangs_is_killed_by_the_watchdog(lab):
    hang(lab, "write")


@case
def logrotate_under_load_loses_nothing(lab):
    service = Service(lab, {f"s{i}": Origin(lab, Recorder(OK)).url() for i in range(10)},
                      {"interval": "100ms", "samples": 1})
    service.start()
    for _ in range(3):
        service.wait_for_reports(30)
        run("logrotate", "-f", "/etc/logrotate.d/tallyd")
        service.wait_for(lambda: service.reports(), "the new log")
    service.wait_for_reports(10)
    service.stop()
    # delaycompress: the last but one and those before it are packed
    older = sorted((name for name in os.listdir(LOGS) if re.fullmatch(r".*\.gz", name)),
                   key=lambda name: -int(name.split(".")[2]))
    texts = [run("zcat", f"{LOGS}/{name}") for name in older]
    records = [json.loads(line) for text in texts for line in text.splitlines()]
    assert len(older) == 2, os.listdir(LOGS)
    records += service.records(f"{LOG}.1") + service.records()
    check_log(records, {f"s{i}": 0.1 for i in range(10)})
    assert records[0]["seq"] == 1 and records[-1]["seq"] == len(records)


@case
def copytruncate_under_load_tears_no_line_and_keeps_the_sequence(lab):
    rules = lab.write("rules", f"{LOG} {{\n copytruncate\n rotate 9\n nocompress\n}}\n")
    service = Service(lab, {f"s{i}": Origin(lab, Recorder(OK)).url() for i in range(10)},
                      {"interval": "100ms", "samples": 1})
    service.start()
    for _ in range(3):
        service.wait_for_reports(30)
        run("logrotate", "-f", "-s", lab.path("state"), rules)
        service.wait_for(service.reports, "the log after it was cut")
    service.stop()
    records = [record for name in ("3", "2", "1") for record in service.records(f"{LOG}.{name}")]
    records += service.records()
    # what came between the copy and the cut is lost, which is what copytruncate does
    seqs = [record["seq"] for record in records]
    assert seqs == sorted(set(seqs)) and seqs[0] == 1, seqs
    assert not [record for record in records if record["record"] == "lost"]


@case
def a_log_that_is_moved_or_deleted_is_made_anew_without_a_signal(lab):
    service = Service(lab, {"good": Origin(lab, Recorder(OK)).url()})
    service.start()
    service.wait_for_reports(3)
    os.rename(LOG, f"{LOG}.moved")
    service.wait_for(service.reports, "the log after it was moved")
    service.wait_for_reports(2)
    moved = service.records(f"{LOG}.moved")
    assert service.records()[0]["seq"] == moved[-1]["seq"] + 1
    os.unlink(LOG)
    service.wait_for(service.reports, "the log after it was deleted")
    service.stop()


@case
def logrotate_is_content_where_the_service_does_not_run(lab):
    service = Service(lab, {"good": Origin(lab, Recorder(OK)).url()})
    service.start()
    service.wait_for_reports(1)
    service.stop()
    run("logrotate", "-f", "/etc/logrotate.d/tallyd")
    assert os.path.exists(f"{LOG}.1") and not os.path.exists(LOG)
    shutil.rmtree("/var/log/private/tallyd")
    run("logrotate", "-f", "/etc/logrotate.d/tallyd")


@case
def a_credential_is_used_and_nobody_else_sees_it(lab):
    secret = "dragonfruit-7f3a"
    path = lab.write("secret", secret + "\n")
    os.chmod(path, 0o600)
    recorder = Recorder(OK)
    service = Service(lab, {"shop": {
        "name": "shop", "url": Origin(lab, recorder).url(),
        "request": {"bearer": {"credential": "shop-token"}}}},
        drop_in=f"LoadCredential=shop-token:{path}")
    service.start()
    service.wait_for_reports(2)
    assert values(recorder.requests[0], "Authorization") == [f"Bearer {secret}"], recorder.requests
    pid, where = service.pid(), "/run/credentials/tallyd.service/shop-token"
    assert os.path.exists(where)
    with contextlib.suppress(FileNotFoundError):
        assert secret not in run("setpriv", "--reuid=65534", "--clear-groups", "cat", where,
                                 status=None)
    with open(f"/proc/{pid}/environ", encoding="utf-8") as file:
        assert secret not in file.read()
    service.stop()
    assert secret not in run("systemctl", "show", "tallyd")
    assert secret not in json.dumps(service.said()) + json.dumps(service.records())
    assert not os.path.exists(where)


@case
def a_key_that_only_root_reads_is_a_credential_of_tls_or_refused_with_what_to_do(lab):
    ours = CertificateAuthority(lab)
    cert, key = ours.issue("tallyd")
    files = {"client-ca": ours.certificate, "client-cert": cert, "client-key": key}
    for path in files.values():
        os.chmod(path, 0o600)
    origin = Origin(lab, Recorder(OK), certificate=ours.issue("127.0.0.1"))

    def shop(**tls):
        return {"shop": {"name": "shop", "url": origin.url(), "tls": tls}}
    credentials = {name: {"credential": f"client-{name}"} for name in ("ca", "cert", "key")}
    service = Service(lab, shop(**credentials), drop_in="\n".join(
        f"LoadCredential={name}:{path}" for name, path in files.items()))
    service.start()
    service.wait_for_reports(2)
    assert all(set(report["codes"]) == {"200"} for report in service.reports()), service.reports()
    os.makedirs("/etc/tallyd/client", exist_ok=True)
    shutil.copy(key, "/etc/tallyd/client/key")
    os.chmod("/etc/tallyd/client/key", 0o600)
    service.configure(shop(**{**credentials, "key": "/etc/tallyd/client/key"}))
    run("systemctl", "reload", "tallyd")
    service.wait_for_words("tallyd's user must read it; a service has {credential: NAME}")
    service.stop()


@case
def a_command_of_on_change_runs_within_the_same_bounds(lab):
    with open("/etc/tallyd/tell.sh", "w", encoding="ascii") as file:
        file.write("""echo "$TALLYD_SITE is $TALLYD_TO"
            touch /etc/tallyd/here || touch /usr/here || echo bounded
            cd /var/lib/tallyd
            echo "$(id -u) $(sed -n 's/^NoNewPrivs:[[:space:]]*//p; s/^Seccomp:[[:space:]]*//p' \
                /proc/self/status | tr -d '\\n')" >told.new
            mv told.new told""")
    service = Service(lab, {"bad": Origin(lab, Recorder(BAD)).url()}, on_change={
        "when": ["down"], "command": ["/bin/sh", "/etc/tallyd/tell.sh"]})
    service.start()
    service.wait_for_words("bad is down")
    service.wait_for(lambda: os.path.exists("/var/lib/tallyd/told"), "what it wrote")
    with open("/var/lib/tallyd/told", encoding="ascii") as file:
        user, bounds = file.read().split()
    assert int(user) == os.stat("/var/log/private/tallyd").st_uid >= 61184 and bounds == "12"
    service.wait_for_words("bounded")
    service.stop()


@case
def the_status_server_listens_in_its_directory(lab):
    service = Service(lab, {"good": Origin(lab, Recorder(OK)).url()},
                      status={"listen": "unix:/run/tallyd/status"})
    service.start()
    service.wait_for_reports(1)
    said = run("tallyd", "status", "-c", CONFIG)
    assert "good" in said and "up" in said, said
    assert run("curl", "-sf", "--unix-socket", "/run/tallyd/status", "http://localhost/healthz")
    metrics = run("curl", "-sf", "--unix-socket", "/run/tallyd/status", "http://localhost/metrics")
    assert re.search(r"(?m)^process_max_fds [1-9]", metrics), metrics
    service.stop()


JOURNAL = {"to": "journal"}
BOTH = [JOURNAL, {"to": "file", "path": LOG, "format": "json"}]


def entries(service, *matches):
    """What is in the journal of this service's reports, as fields."""
    boots = {record["boot"] for record in service.records()}
    return [entry for entry in journal("-u", "tallyd", *matches)
            if entry.get("TALLYD_BOOT") in boots]


@case
def reports_in_the_journal_can_be_asked_for_by_their_fields(lab):
    good, bad = Origin(lab, Recorder(OK)), Origin(lab, Recorder(BAD))
    service = Service(lab, {"good": good.url(), "bad": {
        "name": "bad", "url": bad.url(), "labels": {"team": "web"}}}, reports=BOTH)
    service.start()
    service.wait_for_status("1 down")
    service.wait_for_reports(4)
    service.stop()
    records = service.records()
    assert [int(entry["TALLYD_SEQ"]) for entry in entries(service, "SYSLOG_IDENTIFIER=tallyd")
            if "TALLYD_SEQ" in entry] == [record["seq"] for record in records]
    down = entries(service, "TALLYD_STATE=down")
    told = [record for record in records if record.get("state", record.get("to")) == "down"]
    assert len(down) == len(told) > 2, (len(down), len(told))
    for entry, record in zip(down, told):
        assert entry["PRIORITY"] == "3" and entry["TALLYD_LABEL_TEAM"] == "web", entry
        assert entry["TALLYD_RECORD"] == record["record"] and entry["TALLYD_SITE"] == "bad", entry
        assert entry["_SYSTEMD_UNIT"] == "tallyd.service", entry
        assert entry["MESSAGE"].startswith(f"{record['time']} seq={record['seq']} "), entry
    reports = [entry for entry in down if entry["TALLYD_RECORD"] == "report"]
    assert {(entry["TALLYD_PLANNED"], entry["TALLYD_FAILED"]) for entry in reports} == {("4", "4")}
    assert {entry["PRIORITY"] for entry in entries(service, "TALLYD_STATE=up")} == {"6"}
    assert not entries(service, "TALLYD_SITE=good", "TALLYD_STATE=down")


@case
def a_journal_that_hangs_moves_no_sample_and_gets_all_reports_later(lab):
    service = Service(lab, {f"s{i}": Origin(lab, Recorder(OK)).url() for i in range(20)},
                      {"interval": "100ms", "samples": 1}, reports=BOTH)
    service.start()
    service.wait_for_reports(20)
    pid = run("systemctl", "show", "-p", "MainPID", "--value", "systemd-journald").strip()
    os.kill(int(pid), signal.SIGSTOP)
    try:
        service.wait_for_reports(1000)  # more than its socket holds
    finally:
        os.kill(int(pid), signal.SIGCONT)
    service.wait_for_reports(20)
    run("systemctl", "restart", "systemd-journald")
    service.wait_for_reports(100)
    service.stop()
    records = service.records()
    check_log(records, {f"s{i}": 0.1 for i in range(20)})
    got = [int(entry["TALLYD_SEQ"]) for entry in entries(service) if "TALLYD_SEQ" in entry]
    assert got == [record["seq"] for record in records], (len(got), len(records))


@case
def the_journal_keeps_reports_beyond_the_rate_that_it_allows_others(lab):
    os.makedirs("/run/systemd/journald.conf.d", exist_ok=True)
    with open("/run/systemd/journald.conf.d/rate.conf", "w", encoding="ascii") as file:
        file.write("[Journal]\nRateLimitIntervalSec=30s\nRateLimitBurst=10\n")
    run("systemctl", "restart", "systemd-journald")
    service = Service(lab, {f"s{i}": Origin(lab, Recorder(OK)).url() for i in range(20)},
                      {"interval": "100ms", "samples": 1}, reports=BOTH)
    service.start()
    service.wait_for_reports(1000)
    service.stop()
    assert len(entries(service, "TALLYD_RECORD=report")) == len(service.reports())
    os.unlink("/run/systemd/journald.conf.d/rate.conf")
    run("systemctl", "restart", "systemd-journald")


@case
def memory_max_is_honoured(lab):
    service = Service(lab, {"good": Origin(lab, Recorder(OK)).url()},
                      drop_in="MemoryMax=1M\nRestart=no")
    run("systemctl", "start", "tallyd", status=1)
    assert service.show("Result")["Result"] in ("signal", "oom-kill"), service.show("Result")
    service.drop_in("MemoryMax=256M")
    run("systemctl", "daemon-reload")
    run("systemctl", "reset-failed", "tallyd")
    service.start()
    service.wait_for_reports(1)
    assert 0 < int(service.show("MemoryCurrent")["MemoryCurrent"]) < 256 << 20
    service.stop()


@case
def a_stop_writes_the_reports_of_rounds_that_have_begun_and_is_in_time(lab):
    slow = Origin(lab, lambda connection: connection.read_request() and connection.stall())
    service = Service(lab, {"slow": slow.url()}, {
        "interval": "60s", "samples": 6, "concurrency": 2, "timeout": "5s", "spread": "0s"},
        drop_in="TimeoutStopSec=2s")  # less than the samples take: the service asks for more
    service.start()
    service.wait_for(lambda: slow.requests == 2, "two samples in flight")
    service.stop()
    report, = service.reports()
    assert report["errors"] == {"aborted": 4, "first_byte_timeout": 2}, report
    assert any("stopped" in str(line["MESSAGE"]) for line in service.said())


@case
def a_command_at_a_change_runs_in_the_sandbox_and_a_stop_lets_it_end(lab):
    path = os.path.join(os.path.dirname(CONFIG), "tell.sh")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write("""#!/bin/sh
trap 'echo hit; exit 9' TERM
echo "told $TALLYD_SITE $TALLYD_TO $(grep NoNewPrivs /proc/self/status | tr -d '\\t')"
echo "open:" $(ls /proc/$$/fd)
sleep 1.5
echo done
""")
    os.chmod(path, 0o755)
    lab.callback(os.unlink, path)
    service = Service(lab, {"bad": f"http://127.0.0.1:{free_port()}/"}, {"samples": 10},
                      on_change={"command": "tell.sh"})
    service.start()
    service.wait_for_words("output: told bad down NoNewPrivs:1")
    service.wait_for_words("output: open: 0 1 10 2")  # 10: the script
    service.stop()  # while it sleeps; systemd's signal is for the daemon alone
    said = [str(line["MESSAGE"]) for line in service.said()]
    assert any("'bad': output: done" in line for line in said), said
    assert not [line for line in said if "hit" in line or "given up" in line], said


@case
def a_stopped_process_is_killed_by_the_watchdog(lab):
    service = Service(lab, {"good": Origin(lab, Recorder(OK)).url()},
                      drop_in="WatchdogSec=2s\nRestartSec=100ms")
    service.start()
    pid = service.pid()
    os.kill(pid, signal.SIGSTOP)
    service.wait_for_another(pid)
    service.wait_for_reports(1)
    service.stop()
    assert not [record for record in service.records() if record["record"] == "event"]


main()
