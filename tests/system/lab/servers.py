"""The real servers: nginx, haproxy, dnsmasq, and the certificates of the first."""

import collections
import os
import signal
import socket
import subprocess
import threading

from . import process


class CertificateAuthority:
    """A CA of its own, made by the openssl command."""

    def __init__(self, lab, name="ca"):
        self._lab, self._name, self._serial = lab, name, 0
        self.certificate, self._key = lab.path(name + ".pem"), lab.path(name + ".key")
        _openssl("req", "-x509", *_NEW_KEY, "-keyout", self._key, "-out", self.certificate,
                 "-subj", f"/CN=test {name}", "-days", "30")

    def authority(self, name):
        """Another, between this one and what it issues: its certificate is signed by this one."""
        made = CertificateAuthority(self._lab, name)
        request, extensions = self._lab.path(name + ".csr"), self._lab.write(
            name + ".ext", "basicConstraints = critical, CA:TRUE\n")
        _openssl("req", "-new", "-key", made._key, "-out", request, "-subj", f"/CN=test {name}")
        _openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self._key,
                 "-CAcreateserial", "-days", "30", "-extfile", extensions,
                 "-out", made.certificate)
        return made

    def issue(self, *names, expired=False, ends=None, self_signed=False):
        """(certificate, key) for these DNS names and addresses; `ends` is YYYYMMDDHHMMSSZ."""
        self._serial += 1
        stem = self._lab.path(f"{self._name}-{self._serial}")
        certificate, key, request = stem + ".pem", stem + ".key", stem + ".csr"
        alternatives = ",".join(
            ("IP:" if name.replace(".", "").isdigit() else "DNS:") + name for name in names)
        if self_signed:
            _openssl("req", "-x509", *_NEW_KEY, "-keyout", key, "-out", certificate, "-days", "30",
                     "-subj", "/CN=" + names[0], "-addext", "subjectAltName=" + alternatives)
            return certificate, key
        _openssl("req", *_NEW_KEY, "-keyout", key, "-out", request, "-subj", "/CN=" + names[0])
        with open(stem + ".cnf", "w", encoding="ascii") as file:
            file.write("[ca]\ndefault_ca = us\n[us]\nnew_certs_dir = " + self._lab.dir +
                       f"\ndatabase = {stem}.index\nserial = {stem}.serial\nunique_subject = no\n"
                       "default_md = sha256\npolicy = any\ndefault_days = 30\n"
                       "x509_extensions = server\n[any]\ncommonName = supplied\n"
                       f"[server]\nsubjectAltName = {alternatives}\n")
        open(stem + ".index", "w", encoding="ascii").close()
        with open(stem + ".serial", "w", encoding="ascii") as file:
            file.write(f"{0x1000 + self._serial:x}\n")
        ends = "20210101000000Z" if expired else ends
        dates = [] if ends is None else ["-startdate", "20200101000000Z", "-enddate", ends]
        _openssl("ca", "-batch", "-notext", "-config", stem + ".cnf", "-cert", self.certificate,
                 "-keyfile", self._key, "-in", request, "-out", certificate, *dates)
        return certificate, key


_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


def _openssl(*arguments):
    done = subprocess.run(["openssl", *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=False, timeout=60)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {' '.join(arguments)}: {done.stderr}")


class _Server:
    """A process in the foreground, with its words in a file."""

    def __init__(self, lab, name, argv):
        self._log = lab.path(f"{name}-{id(self)}.stderr")
        with open(self._log, "wb") as log:
            self.process = process.start(argv, stdout=log, stderr=log, cwd=lab.dir)
        lab.callback(process.end, self.process)

    def words(self):
        with open(self._log, encoding="utf-8", errors="replace") as file:
            return file.read()

    def wait_until_listening(self, port, address="127.0.0.1"):
        def ready():
            if self.process.poll() is not None:
                raise RuntimeError(f"ended with {self.process.returncode}: {self.words()}")
            return process.listens(port, address)
        process.wait_for(ready, lambda: f"port {port} open: {self.words()}")


class Nginx(_Server):
    """One process that listens on `ports` plain and, with a certificate, on `tls_port`.

    /200 /204 /302 /404 /451 /500 /503 answer so; /mix answers 503 one time in twenty, at random;
    /body has 100 kB. `bad_port`, if given, answers everything with 503. Every request is one line
    in the access log. `extra` are more lines for the server.
    """

    def __init__(self, lab, ports=1, certificate=None, bad_port=None, addresses=("127.0.0.1",),
                 extra=""):
        self.ports = [process.free_port() for _ in range(ports)]
        self.port, self.tls_port = self.ports[0], None
        self.root = os.path.join(lab.dir, f"nginx-{self.port}")
        os.mkdir(self.root)
        self.access_log = os.path.join(self.root, "access.log")
        listen = "".join(f"listen {address}:{port};"
                         for port in self.ports for address in addresses)
        if certificate is not None:
            self.tls_port = process.free_port()
            listen += "".join(f"listen {address}:{self.tls_port} ssl;" for address in addresses)
            listen += f"ssl_certificate {certificate[0]}; ssl_certificate_key {certificate[1]};"
        bad = "" if bad_port is None else f"server {{ listen 127.0.0.1:{bad_port}; return 503; }}"
        temporary = "".join(f"{kind}_temp_path {self.root}/{kind};" for kind in
                            ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        codes = "".join(f"location = /{code} {{ return {code} {target}; }}" for code, target in
                        ((200, "fine"), (204, "''"), (302, "/200"), (404, "''"), (451, "''"),
                         (500, "''"), (503, "''")))
        with open(os.path.join(self.root, "body"), "wb") as file:
            file.write(b"x" * 100000)
        config = os.path.join(self.root, "nginx.conf")
        with open(config, "w", encoding="ascii") as file:
            file.write(f"""daemon off; master_process off; pid {self.root}/pid;
worker_rlimit_nofile 16384; error_log {self.root}/error.log;
events {{ worker_connections 8000; }}
http {{
{temporary}
log_format counted '$server_port $status $uri';
access_log {self.access_log} counted;
split_clients $request_id $mix {{ 5% 503; * 200; }}
server {{
    {listen}
    root {self.root};
    {codes}
    location = /mix {{ if ($mix = 503) {{ return 503; }} return 200 fine; }}
    location = /body {{ }}
    location / {{ return 200 fine; }}
    {extra}
}}
{bad}
}}
""")
        open(self.access_log, "wb").close()
        self._lab, self._argv = lab, ["nginx", "-p", self.root, "-e", self.root + "/error.log",
                                      "-c", config]
        super().__init__(lab, "nginx", self._argv)
        self.wait_until_listening(self.port)

    def restart(self):
        """Ends it, connections and all, and starts it anew."""
        process.end(self.process)
        super().__init__(self._lab, "nginx", self._argv)
        self.wait_until_listening(self.port)

    def url(self, path="/200", port=None):
        return f"http://127.0.0.1:{port or self.port}{path}"

    def tls_url(self, path="/200", host="127.0.0.1"):
        return f"https://{host}:{self.tls_port}{path}"

    def requests(self, path=None):
        """Counter of status codes as the access log has them, of one path or of all."""
        with open(self.access_log, encoding="utf-8") as file:
            rows = [line.split(" ", 2) for line in file.read().splitlines()]
        return collections.Counter(row[1] for row in rows if path is None or row[2] == path)

    def wait_for_requests(self, expected, path=None):
        """nginx writes its line after the answer has gone: waits for as many, compares exactly."""
        expected = collections.Counter({str(code): n for code, n in expected.items()})
        process.wait_for(lambda: sum(self.requests(path).values()) >= sum(expected.values()),
                         lambda: f"{expected} in the access log, which has {self.requests(path)}")
        assert self.requests(path) == expected, f"nginx {self.requests(path)}, report {expected}"


class Haproxy(_Server):
    """In front of servers s0, s1, … in turn, the last of which answers 503. Each answer names its
    server in X-Served-By and, a client that has none yet, in the cookie SERVERID. haproxy's log
    comes by UDP to a thread here: one status a connection."""

    def __init__(self, lab, nginx_ports, bad_port):
        self.port = process.free_port()
        self.statuses = collections.Counter()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self._socket.bind(("127.0.0.1", 0))
        servers = "".join(f"    server s{i} 127.0.0.1:{port} cookie c{i}\n"
                          for i, port in enumerate([*nginx_ports, bad_port]))
        config = lab.write(f"haproxy-{self.port}.cfg", f"""
global
    log 127.0.0.1:{self._socket.getsockname()[1]} format raw local0
    maxconn 8000
defaults
    mode http
    log global
    log-format "%ST"
    timeout connect 10s
    timeout client 30s
    timeout server 30s
    option http-server-close
frontend in
    bind 127.0.0.1:{self.port}
    http-request set-log-level silent if {{ path /ready }}
    http-request return status 200 if {{ path /ready }}
    default_backend all
backend all
    balance roundrobin
    http-response set-header X-Served-By %s
    cookie SERVERID insert indirect nocache
{servers}""")
        threading.Thread(target=self._read, daemon=True).start()
        lab.callback(self._socket.close)
        super().__init__(lab, "haproxy", ["haproxy", "-db", "-f", config])
        # asked in full, as a connection without a request would be a line in the log
        process.wait_for(self._ready, lambda: "haproxy: " + self.words())

    def _ready(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 1) as client:
                client.sendall(b"GET /ready HTTP/1.0\r\n\r\n")
                return client.recv(64).startswith(b"HTTP/1")
        except OSError:
            return False

    def _read(self):
        while True:
            try:
                text = self._socket.recv(4096).decode("ascii", "replace").strip()
            except OSError:
                return
            if text:
                self.statuses[text] += 1

    def url(self):
        return f"http://127.0.0.1:{self.port}/"


class Dnsmasq(_Server):
    """Answers for `records`, {name: [address, ...]}, and nothing else: other names do not exist."""

    def __init__(self, lab, records):
        self._lab = lab
        self.port = process.free_port()
        self.log = lab.path(f"dnsmasq-{self.port}.log")
        self._write(records)
        # -k, for with --no-daemon it answers TCP in the same process and starves UDP meanwhile
        super().__init__(lab, "dnsmasq", [
            "dnsmasq", "-k", "--conf-file=/dev/null", f"--port={self.port}", "--no-resolv",
            "--no-hosts", "--bind-interfaces", "--listen-address=127.0.0.1", "--local=/#/",
            "--pid-file=", "--user=root", "--log-queries", f"--log-facility={self.log}",
            "--addn-hosts=" + lab.path(self._hosts)])
        self.wait_until_listening(self.port)

    @property
    def _hosts(self):
        return f"dnsmasq-{self.port}.hosts"

    def _write(self, records):
        self._lab.write(self._hosts, "".join(
            f"{address} {name}\n" for name, addresses in records.items()
            for address in addresses))

    def change(self, records):
        """Answers so from now on, or a moment later."""
        self._write(records)
        self.process.send_signal(signal.SIGHUP)

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def queries(self):
        with open(self.log, encoding="utf-8") as file:
            return [line for line in file if "query[" in line]
