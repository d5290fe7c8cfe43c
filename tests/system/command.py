"""`tallyd sample` as a command: where URLs come from, where words go, and what is refused."""

import os
import pty
import re
import threading

from lab import (TALLYD, Nginx, Origin, answer, case, counts, main, parse_json, parse_line,
                 parse_text, run_tallyd, sample, start)

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


@case
def urls_come_from_a_file_and_the_command_line_in_order(lab):
    nginx = Nginx(lab)
    urls = [nginx.url(path) for path in ("/200", "/204", "/302")]
    path = lab.write("urls", f"# a comment\n\n{urls[0]}\n  {urls[1]}  \n")
    done = run_tallyd("sample", "-n", 2, "-f", path)
    assert [url for url, _ in parse_text(done.out)] == urls[:2], done
    assert done.status == 0, done
    done = run_tallyd("sample", "-n", 2, "-f", path, urls[2])
    assert sorted(url for url, _ in parse_text(done.out)) == sorted(urls), done


@case
def a_dash_is_stdin(lab):
    nginx = Nginx(lab)
    urls = [nginx.url("/200"), nginx.url("/204")]
    done = run_tallyd("sample", "-n", 2, "-f", "-", stdin="\n".join(urls) + "\n")
    assert [url for url, _ in parse_text(done.out)] == urls and done.status == 0, done


@case
def the_same_url_may_come_twice(lab):
    nginx = Nginx(lab)
    done = run_tallyd("sample", "-n", 3, nginx.url(), nginx.url())
    assert parse_text(done.out) == [(nginx.url(), {"200": 3})] * 2, done
    nginx.wait_for_requests({200: 6})


@case
def two_thousand_urls_are_reported_in_order(lab):
    nginx = Nginx(lab)
    urls = [nginx.url(f"/page/{i}") for i in range(2000)]
    done = run_tallyd("sample", "-n", 2, "-f", "-", stdin="\n".join(urls) + "\n", limit=100)
    assert parse_text(done.out) == [(url, {"200": 2}) for url in urls], done.out[-500:]
    assert done.status == 0, done.err
    nginx.wait_for_requests({200: 4000})


@case
def a_bad_url_is_refused_before_anything_is_sent(lab):
    nginx = Nginx(lab)
    for bad in ("ftp://127.0.0.1/", "127.0.0.1", "http://", "http://127.0.0.1:0/",
                "http://127.0.0.1:65536/", "http://user:secret@127.0.0.1/", "http://a b/",
                "file:///etc/passwd", "http://127.0.0.1/\n"):
        done = run_tallyd("sample", "-n", 1, nginx.url(), bad)
        assert done.status == 2 and done.out == "" and done.err != "", (bad, done)
        assert "secret" not in done.err, done
    path = lab.write("urls", f"{nginx.url()}\n\nnot a url\n{nginx.url()}\nftp://x/\n")
    done = run_tallyd("sample", "-f", path)
    # all of them, and where
    assert done.status == 2 and f"{path}:3" in done.err and f"{path}:5" in done.err, done
    assert nginx.requests() == {}, "something was sent"


@case
def a_file_that_cannot_be_read_is_named(lab):
    for path in (lab.path("missing"), lab.dir):
        done = run_tallyd("sample", "-f", path)
        assert done.status == 2 and path in done.err and done.out == "", done
    done = run_tallyd("sample", "-f", lab.write("empty", ""))
    assert done.status == 2 and done.out == "", done


@case
def help_goes_to_stdout_and_names_every_option(lab):
    for arguments in (["--help"], ["sample", "--help"], ["run", "--help"], ["check", "--help"],
                      ["demo", "--help"]):
        done = run_tallyd(*arguments)
        assert done.status == 0 and done.err == "" and "tallyd" in done.out, (arguments, done)
    words = run_tallyd("sample", "--help").out
    for option in ("--samples", "--concurrency", "--timeout", "--max-in-flight", "--format",
                   "--cacert", "-f"):
        assert option in words, option
    assert re.search(r"\d+\.\d+\.\d+", run_tallyd("--version").out)


@case
def help_may_be_asked_for_as_a_command(lab):
    for command in ("sample", "run", "status", "check", "demo"):
        done = run_tallyd("help", command)
        assert done.status == 0 and done.out == run_tallyd(command, "--help").out, (command, done)
    for arguments in (["help"], ["help", "help"]):
        done = run_tallyd(*arguments)
        assert done.status == 0 and done.out == run_tallyd("--help").out, done


@case
def a_command_that_does_not_exist_is_told_with_the_one_that_was_meant(lab):
    for typed, said in (("samle", "did you mean 'sample'?"), ("chekc", "did you mean 'check'?"),
                        ("frobnicate", "there is no command 'frobnicate'\n"),
                        ("--verbose", "options stand behind one")):
        for arguments in ([typed], ["help", typed]):
            done = run_tallyd(*arguments)
            assert done.status == 2 and done.out == "" and said in done.err, (arguments, done)
            assert "usage: tallyd COMMAND" in done.err, done


@case
def the_three_formats_say_the_same(lab):
    origin = Origin(lab, answer(OK))
    nginx = Nginx(lab)
    urls = [nginx.url("/503"), origin.url("/x?a=b c".replace(" ", "%20"))]
    seen = {}
    for kind in ("text", "line", "json"):
        done = run_tallyd("sample", "-n", 3, "--format", kind, *urls)
        assert done.status == 1, done
        seen[kind] = done.out
    want = [(urls[0], {"503": 3}), (urls[1], {"200": 3})]
    assert parse_text(seen["text"]) == want
    lines, objects = parse_line(seen["line"]), parse_json(seen["json"])
    assert [(r["url"], r["outcomes"]) for r in lines] == want
    assert [(r["url"], counts(r)) for r in objects] == want
    assert [r["failed"] for r in lines] == ["3", "0"] and [r["failed"] for r in objects] == [3, 0]
    for record in lines + objects:
        assert not {"boot", "seq", "state", "level", "window"} & set(record), record


def on_a_terminal(lab, *arguments):
    """stdout, and what a terminal on stderr got."""
    controller, terminal = pty.openpty()
    path = lab.path("out")
    with open(path, "wb") as out:
        child = start([TALLYD, "sample", *arguments], stdout=out, stderr=terminal)
    os.close(terminal)
    shown = b""
    while True:
        try:
            piece = os.read(controller, 4096)
        except OSError:  # EIO: the last writer has gone
            break
        if not piece:
            break
        shown += piece
    os.close(controller)
    assert child.wait(30) == 0
    with open(path, encoding="utf-8") as file:
        return file.read(), shown.decode()


@case
def progress_is_shown_on_a_terminal_and_never_in_stdout(lab):
    def behave(connection):
        if connection.read_request():
            connection.pause(0.3)
            connection.send(OK)
            connection.finish()
    origin = Origin(lab, behave)
    out, shown = on_a_terminal(lab, "-n", "10", "-j", "1", origin.url())
    assert out == f"report for: {origin.url()}\nsaw 200: 10 times\n", out
    assert re.search(r"\d+.*\d+", shown), f"no progress: {shown!r}"
    # nothing of it is left on the screen at the end
    assert shown.endswith(("\r\x1b[K", "\r\x1b[2K", "\x1b[K\r", "\x1b[2K\r")), repr(shown[-40:])


@case
def no_progress_is_shown_when_stderr_is_no_terminal(lab):
    def behave(connection):
        if connection.read_request():
            connection.pause(0.3)
            connection.send(OK)
            connection.finish()
    done = sample("-n", 6, "-j", 1, Origin(lab, behave).url(), status=0)
    assert done.err == "", done


@case
def no_more_than_the_limits_are_in_flight(lab):
    for arguments, most in ((["-j", "3"], 6), (["-j", "4", "--max-in-flight", "2"], 2)):
        peak, now = [0], [0]
        lock = threading.Lock()

        def behave(connection):
            with lock:
                now[0] += 1
                peak[0] = max(peak[0], now[0])
            if connection.read_request():
                connection.pause(0.05)
                with lock:
                    now[0] -= 1
                connection.send(OK)
                connection.finish()
        origin = Origin(lab, behave)
        sample("-n", 20, *arguments, origin.url("/a"), origin.url("/b"), status=0)
        assert peak[0] == most, (arguments, peak)


@case
def proxies_of_the_environment_are_not_used(lab):
    nginx = Nginx(lab)
    sample("-n", 2, nginx.url(), status=0, env={
        "http_proxy": "http://127.0.0.1:1", "ALL_PROXY": "http://127.0.0.1:1"})


main()
