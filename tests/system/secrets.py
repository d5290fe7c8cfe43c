"""A marker stands for each secret: the server gets it, and it is nowhere else to be found."""

import base64
import os
import resource
import signal

from lab import (TALLYD, CertificateAuthority, Daemon, Origin, Proxy, Recorder, Skip, case,
                 configuration, free_port, main, run_tallyd, start, values, wait_for)

UNAUTHORIZED = b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n"


class Secrets:
    """Files and a credential with markers, and all forms in which they might show."""

    def __init__(self, lab):
        self._lab, self.markers = lab, []
        self.credentials = lab.path("credentials")
        os.mkdir(self.credentials)

    def _make(self, path, name):
        marker = f"MARKER-{name}-{os.urandom(6).hex()}"
        self.markers += [marker, base64.b64encode(marker.encode()).decode().rstrip("="),
                         base64.b64encode(f"user:{marker}".encode()).decode().rstrip("=")]
        with open(path, "w", encoding="ascii") as file:
            file.write(marker + "\n")
        os.chmod(path, 0o600)
        return marker

    def file(self, name):
        path = self._lab.path(name)
        return self._make(path, name), {"file": path}

    def credential(self, name):
        return self._make(os.path.join(self.credentials, name), name), {"credential": name}

    def environment(self):
        return {"CREDENTIALS_DIRECTORY": self.credentials}

    def look_for(self, where, data):
        """No marker, nor a good part of one, is in the bytes."""
        for marker in self.markers:
            for form in (marker.encode(), marker.encode().hex().encode(), marker.encode()[-12:]):
                assert form not in data, f"{marker} in {where}: {data[-2000:]!r}"


def read(path):
    with open(path, "rb") as file:
        return file.read()


def sink(lab, form):
    return {"to": "file", "path": lab.path("log." + form), "format": form}


def everything(lab, secrets):
    """Sites with every kind of secret that end in every kind of way, and who received what."""
    password, password_from = secrets.file("password")
    token, token_from = secrets.credential("token")
    key, key_from = secrets.file("key")
    ca = CertificateAuthority(lab)
    recorders = {name: Recorder(UNAUTHORIZED) for name in ("basic", "bearer", "header", "tls")}
    origins = {name: Origin(lab, recorder,
                            certificate=ca.issue("127.0.0.1") if name == "tls" else None)
               for name, recorder in recorders.items()}
    proxy = Origin(lab, Proxy(refuse=b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"))
    requests = {"basic": {"basic": {"user": "user", "password": password_from}},
                "bearer": {"bearer": token_from},
                "header": {"headers": {"X-Key": key_from, "X-Plain": "plain"}}}
    every = {**requests["basic"], **requests["header"]}
    rows = [{"name": name, "url": origins[name].url("/path"), "request": request}
            for name, request in requests.items()]
    rows += [
        {"name": "tls", "url": origins["tls"].url(), "request": requests["bearer"],
         "tls": {"ca": ca.certificate}},
        {"name": "tls_verify", "url": origins["tls"].url(), "request": every},
        {"name": "refused", "url": f"http://127.0.0.1:{free_port()}/", "request": every},
        {"name": "proxy", "url": origins["tls"].url(), "request": {**every, "proxy": proxy.url()}},
        {"name": "reuse", "url": origins["basic"].url("/reuse"), "request": every,
         "connection": "reuse"},
    ]

    def check_received():
        wait_for(lambda: all(recorder.requests for recorder in recorders.values()), "requests")
        for name, header, value in (
                ("basic", "authorization",
                 "Basic " + base64.b64encode(f"user:{password}".encode()).decode()),
                ("bearer", "authorization", "Bearer " + token), ("header", "x-key", key),
                ("tls", "authorization", "Bearer " + token)):
            assert values(recorders[name].requests[-1], header) == [value], name
    config = {"reports": [sink(lab, form) for form in ("json", "line", "text")]}
    return configuration(rows, {"interval": "500ms", "samples": 3}, **config), check_received


@case
def no_output_and_no_page_of_proc_shows_one(lab):
    secrets = Secrets(lab)
    text, check_received = everything(lab, secrets)
    daemon = Daemon(lab, text, env=secrets.environment())
    logs = [lab.path("log." + form) for form in ("json", "line", "text")]
    pid = daemon.process.pid

    def wait_for_rounds(n):
        before = read(logs[1]).count(b"site=refused") if os.path.exists(logs[1]) else 0
        daemon.wait_for(lambda: os.path.exists(logs[1]) and
                        read(logs[1]).count(b"site=refused") >= before + n, "rounds")
    wait_for_rounds(2)
    check_received()
    before = len(daemon.err())
    daemon.signal(signal.SIGHUP)
    daemon.wait_for_words("reloaded: ", after=before)
    # a reload that is refused, over a secret among others
    good = text
    daemon.write_config(text.replace('"X-Plain": "plain"', '"X-Plain": {"file": "missing"}'))
    before = len(daemon.err())
    daemon.signal(signal.SIGHUP)
    daemon.wait_for_words("reload refused", after=before)
    daemon.write_config(good)
    wait_for_rounds(2)
    for page in ("cmdline", "environ", "comm", "status", "maps", "mountinfo"):
        secrets.look_for("/proc/PID/" + page, read(f"/proc/{pid}/{page}"))
    for thread in os.listdir(f"/proc/{pid}/task"):
        secrets.look_for("a thread's name", read(f"/proc/{pid}/task/{thread}/comm"))
    for fd in os.listdir(f"/proc/{pid}/fd"):
        secrets.look_for("a descriptor", os.readlink(f"/proc/{pid}/fd/{fd}").encode())
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == 0, daemon.err()
    secrets.look_for("stderr", read(daemon.err_path))
    for path in logs:
        content = read(path)
        assert content, path
        secrets.look_for(path, content)
    # the words by which they are known: that there was something to be seen
    assert b"401" in read(logs[0]) and b"proxy" in read(logs[0]) and b"evidence" in read(logs[0])


@case
def check_shows_none(lab):
    secrets = Secrets(lab)
    text, _ = everything(lab, secrets)
    path = lab.write("tallyd.yaml", text)
    environment = secrets.environment()
    done = run_tallyd("check", "-c", path, env=environment)
    assert done.status == 0, done
    secrets.look_for("check", (done.out + done.err).encode())
    # what is wrong with one is said without it
    broken = lab.path("password")
    marker = read(broken).strip().decode()
    with open(broken, "a", encoding="ascii") as file:
        file.write("a second line\n")
    done = run_tallyd("check", "-c", path, env=environment)
    assert done.status == 2 and broken in done.err and marker not in done.err, done
    secrets.look_for("check", (done.out + done.err).encode())


@case
def sample_shows_none(lab):
    if "--site" not in run_tallyd("sample", "--help").out:
        raise Skip("sample has no --site yet")
    secrets = Secrets(lab)
    text, _ = everything(lab, secrets)
    path = lab.write("tallyd.yaml", text)
    for site in ("basic", "bearer", "header", "tls_verify", "refused", "proxy", "reuse"):
        for form in ("json", "line", "text"):
            for more in ((), ("-v",)):
                done = run_tallyd("sample", "--site", site, "-c", path, "--format", form, *more,
                                  env=secrets.environment())
                assert done.status == 1, done
                secrets.look_for(f"sample {site}", (done.out + done.err).encode())


def echo(request):
    """An answer that tells the client what it asked with, in whatever is quoted of an answer."""
    login, key = values(request, "authorization")[0], values(request, "x-key")[0]
    first = f"302 Found\r\nLocation: http://other.example/login/{key}" \
        if request.target == "/redirect" else "200 OK"
    return (f"HTTP/1.1 {first}\r\nX-Echo: {login}\r\nX-Key: {key}\r\n"
            "Content-Length: 0\r\n\r\n").encode("ascii")


@case
def a_server_that_sends_secrets_back_makes_none_known(lab):
    secrets = Secrets(lab)
    _, password = secrets.file("password")
    _, key = secrets.file("key")
    origin = Origin(lab, Recorder(echo))
    request = {"headers": {"X-Key": key}, "basic": {"user": "user", "password": password}}
    rows = [{"name": "header", "url": origin.url("/"), "request": request,
             "expect": {"headers": {"X-Echo": "nothing"}}},
            {"name": "backend", "url": origin.url("/"), "request": request,
             "backend": {"header": "X-Key"}, "expect": {"headers": {"X-Key": "nothing"}}},
            {"name": "redirect", "url": origin.url("/redirect"), "request": request,
             "redirects": {"follow": 1}}]
    path = lab.write("tallyd.yaml", configuration(rows, {"samples": 2}))
    sites = [word for row in rows for word in ("--site", row["name"])]
    for form, words in (("json", "***"), ("line", "backend[%2A%2A%2A]="), ("text", "from"),
                        ("full", "***")):
        done = run_tallyd("sample", *sites, "-c", path, "--format", form)
        assert done.status == 1 and words in done.out, done
        secrets.look_for(form, (done.out + done.err).encode())


def start_where_it_may_dump(argv, directory, **options):
    """A process that would leave a core file there, if the machine has it so."""
    limit = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (limit[1], limit[1]))
    try:
        return start(argv, cwd=directory, **options)
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, limit)


def end_by_fault(child):
    child.send_signal(signal.SIGSEGV)
    _, status = os.waitpid(child.pid, 0)
    child.returncode = -signal.SIGSEGV
    return status


@case
def a_core_file_is_never_written(lab):
    secrets = Secrets(lab)
    text, check_received = everything(lab, secrets)
    path = lab.write("tallyd.yaml", text)
    os.mkdir(lab.path("core"))
    control = start_where_it_may_dump(["sleep", "60"], lab.path("core"))
    wait_for(lambda: read(f"/proc/{control.pid}/comm") == b"sleep\n", "sleep")
    machine_dumps = os.WCOREDUMP(end_by_fault(control))
    for name in os.listdir(lab.path("core")):
        os.unlink(os.path.join(lab.path("core"), name))
    # a sanitizer would take the signal for itself, and forbid core files
    environment = {**secrets.environment(), "ASAN_OPTIONS": "handle_segv=0:disable_coredump=0"}
    with open(lab.path("stderr"), "wb") as err:
        child = start_where_it_may_dump([TALLYD, "run", "-c", path], lab.path("core"), stderr=err,
                                        env=environment)
    check_received()
    status = end_by_fault(child)
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGSEGV, status
    assert not os.WCOREDUMP(status), "a core file"
    assert os.listdir(lab.path("core")) == [], os.listdir(lab.path("core"))
    print(f"# this machine {'writes' if machine_dumps else 'does not write'} core files")


@case
def its_proc_belongs_to_root_once_it_has_read_a_secret(lab):
    if os.getuid() != 0:
        return  # then nobody could tell
    os.chmod(lab.dir, 0o777)
    for name, secret in (("with", True), ("without", False)):
        room = lab.path(name)
        os.mkdir(room)
        token = os.path.join(room, "token")
        with open(token, "w", encoding="ascii") as file:
            file.write("MARKER\n")
        for entry, mode in ((room, 0o777), (token, 0o600)):
            os.chmod(entry, mode)
            os.chown(entry, 65534, 65534)
        row = {"name": "site", "url": f"http://127.0.0.1:{free_port()}/"}
        if secret:
            row["request"] = {"bearer": {"file": token}}
        daemon = Daemon(lab, configuration([row]).replace("{log}", os.path.join(room, "log")),
                        name=name, prefix=("setpriv", "--reuid=65534", "--clear-groups"))
        daemon.wait_for(lambda room=room: os.path.exists(os.path.join(room, "log")), "its log")
        owner = os.stat(f"/proc/{daemon.process.pid}/environ").st_uid
        assert owner == (0 if secret else 65534), (name, owner)
        daemon.signal(signal.SIGTERM)
        assert daemon.wait() == 0, daemon.err()


main()
