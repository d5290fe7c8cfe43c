"""What is our own fault is never a site's: a process that was stopped, an answer without end, a
reader that comes late, a signal that comes early."""

import os
import signal
import subprocess
import time

from lab import (TALLYD, CertificateAuthority, Daemon, Nginx, Origin, case, check_log,
                 configuration, counts, main, parse_text, sample, start, troubles)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


def stop_for(daemon, seconds):
    """The time is the fault itself."""
    daemon.signal(signal.SIGSTOP)
    time.sleep(seconds)
    daemon.signal(signal.SIGCONT)


@case
def a_process_that_was_stopped_blames_no_site_for_a_deadline(lab):
    def behave(connection):
        if connection.read_request():
            connection.pause(0.3)
            connection.send(OK)
            connection.finish()
    origin = Origin(lab, behave)
    # the deadline is the interval: it falls while the process is stopped
    daemon = Daemon(lab, configuration({"a": origin.url()}, {
        "interval": "2s", "samples": 4, "concurrency": 1, "timeout": "2s", "spread": "0s"}))
    daemon.wait_for(lambda: origin.requests == 6, "the second round under way")
    stop_for(daemon, 5)
    daemon.wait_for_reports(2)
    log = daemon.stop()
    check_log(log, {"a": 2.0})
    reports = [r for r in log if r["record"] == "report"]
    assert all(r["failed"] == 0 for r in reports), reports
    assert not [r for r in log if r["record"] == "event" and "site" in r], log
    assert troubles(log) == [("ok", "impaired", "lag"), ("impaired", "ok", "lag")], log
    assert sum(r["skipped"] for r in reports) > 0, "no slot was passed over"


@case
def a_process_that_was_stopped_blames_no_site_for_a_timeout(lab):
    ca = CertificateAuthority(lab)
    began = []

    def behave(connection):
        began.append(connection)
        connection.pause(0.2)
        if connection.read_request():
            connection.send(OK)
            connection.finish()
    origin = Origin(lab, behave, certificate=ca.issue("127.0.0.1"))
    daemon = Daemon(lab, configuration({"a": origin.url()}, {
        "interval": "20s", "samples": 3, "concurrency": 3, "timeout": "2s", "spread": "0s"}),
        env={"SSL_CERT_FILE": ca.certificate})
    daemon.wait_for(lambda: len(began) == 3, "three samples under way")
    stop_for(daemon, 2.2)
    report = daemon.first_report()
    assert report["failed"] == 0, report
    daemon.stop()


@case
def a_process_that_was_stopped_while_a_site_was_silent_blames_the_site(lab):
    asked = []

    def behave(connection):
        if connection.read_request():
            asked.append(connection)
            connection.stall()
    origin = Origin(lab, behave)
    daemon = Daemon(lab, configuration({"a": origin.url()}, {
        "interval": "20s", "samples": 3, "concurrency": 3, "timeout": "3s", "spread": "0s"}))
    daemon.wait_for(lambda: len(asked) == 3, "three samples under way")
    # more than a quarter of the timeout, after the question and before the timeout: whatever had
    # come would have been seen
    stop_for(daemon, 1.2)
    report = daemon.first_report()
    assert counts(report) == {"first_byte_timeout": 3}, report
    daemon.stop()


@case
def an_answer_without_end_is_ended(lab):
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;"
    sent = [0]

    def behave(connection):
        if connection.read_request():
            connection.send(head)
            while True:  # until the client goes, which ends this
                connection.send(b"a" * 65536)
                sent[0] += 65536
    origin = Origin(lab, behave)
    done = sample("-n", 4, origin.url(), status=1)
    assert counts(done.reports[0]) == {"protocol": 4}, done
    assert sent[0] < 4 * (32 << 20), f"{sent[0]} bytes were taken"


@case
def sample_waits_for_a_reader_that_comes_late(lab):
    nginx = Nginx(lab)
    urls = [nginx.url(f"/200?{i}{'x' * 60}") for i in range(1500)]
    reader, writer = os.pipe()
    lab.callback(lambda: os.close(reader))
    child = start([TALLYD, "sample", "-n", "1", "-f", "-"], stdin=subprocess.PIPE, stdout=writer,
                  stderr=subprocess.PIPE)
    lab.callback(child.kill)
    os.close(writer)
    child.stdin.write("\n".join(urls).encode())
    child.stdin.close()
    nginx.wait_for_requests({200: 1500})
    time.sleep(6)  # longer than a stop would wait
    text = b""
    while piece := os.read(reader, 65536):
        text += piece
    assert child.wait(30) == 0, child.stderr.read()
    assert [url for url, _ in parse_text(text.decode())] == urls


@case
def a_second_stop_says_what_was_not_written(lab):
    nginx = Nginx(lab)
    reader, writer = os.pipe()
    lab.callback(lambda: os.close(reader))
    urls = [nginx.url(f"/200?{i}{'x' * 2000}") for i in range(200)]
    child = start([TALLYD, "sample", "-n", "1", *urls], stdout=writer, stderr=subprocess.PIPE)
    lab.callback(child.kill)
    os.close(writer)
    nginx.wait_for_requests({200: 200})
    for _ in range(2):
        if child.poll() is None:
            child.send_signal(signal.SIGINT)
    assert child.wait(30) == 3, child.stderr.read()
    assert b"could not be written" in child.stderr.read()


@case
def a_list_of_urls_that_is_none_is_refused(lab):
    zeros = lab.write("zeros", "\0" * 100)
    long = lab.write("long", "http://127.0.0.1/" + "x" * 100000 + "\n")
    for path, words in ((zeros, "NUL byte"), (long, "longer than"), ("/dev/zero", "NUL byte")):
        done = subprocess.run([TALLYD, "sample", "-f", path], capture_output=True, timeout=20,
                              check=False)
        assert done.returncode == 2 and words.encode() in done.stderr, (path, done)
        assert f"{path}:1".encode() in done.stderr, done


@case
def a_signal_that_comes_at_the_start_is_served(lab):
    nginx = Nginx(lab)
    for number in (signal.SIGHUP, signal.SIGUSR1):
        # blocked, which its process inherits, until tallyd itself decides what becomes of it
        signal.pthread_sigmask(signal.SIG_BLOCK, {number})
        try:
            daemon = Daemon(lab, configuration({"a": nginx.url()}), name=f"early{number}")
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        for _ in range(20):
            daemon.signal(number)
        daemon.wait_for_reports(1)
        daemon.stop()


main()
