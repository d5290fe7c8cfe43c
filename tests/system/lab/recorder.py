"""An origin that keeps what it was asked, to the byte, on connections that stay open."""

import collections
import socket
import threading

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

Request = collections.namedtuple("Request", "method target version headers body connection")


def values(request, name):
    """Of every header of that name, in order."""
    return [value for key, value in request.headers if key.lower() == name.lower()]


def read_request(sock, buffer, number=0):
    """(Request, what came after it); None when the client closed before a whole one."""
    while b"\r\n\r\n" not in buffer:
        piece = sock.recv(65536)
        if not piece:
            return None
        buffer += piece
    head, _, rest = buffer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, version = first.split(" ")
    headers = [tuple(part.strip() for part in line.split(":", 1)) for line in lines]
    length = int(dict((key.lower(), value) for key, value in headers).get("content-length", 0))
    while len(rest) < length:
        piece = sock.recv(65536)
        if not piece:
            return None
        rest += piece
    return Request(method, target, version, headers, rest[:length], number), rest[length:]


class Recorder:
    """A behaviour of an Origin: answers each request with `answer`, bytes or a function of the
    request; None closes the connection without a word. What it got is in `requests`."""

    def __init__(self, answer=OK):
        self._answer, self._lock = answer, threading.Lock()
        self.requests = []

    def __call__(self, connection):
        rest = b""
        connection.socket.settimeout(60)
        while True:
            got = read_request(connection.socket, rest, connection.number)
            if got is None:
                return
            request, rest = got
            with self._lock:
                self.requests.append(request)
            answer = self._answer(request) if callable(self._answer) else self._answer
            if answer is None:
                return
            connection.send(answer)

    def one(self):
        """The request that all were."""
        assert self.requests, "no request came"
        first = self.requests[0]._replace(connection=0)
        for request in self.requests:
            assert request._replace(connection=0) == first, self.requests
        return first


class Proxy:
    """An HTTP proxy for tests: a behaviour of an Origin. Opens tunnels, forwards what is asked in
    absolute form, one request a connection, and keeps the heads of both in `requests`. `refuse` is
    an answer that every request gets instead."""

    def __init__(self, refuse=None):
        self.requests, self.refuse = [], refuse

    def __call__(self, connection):
        got = read_request(connection.socket, b"", connection.number)
        if got is None:
            return
        request, rest = got
        self.requests.append(request)
        if self.refuse is not None:
            connection.send(self.refuse)
            connection.finish()
            return
        if request.method == "CONNECT":
            host, _, port = request.target.rpartition(":")
        else:
            host, _, port = request.target.split("/")[2].rpartition(":")
        with socket.create_connection((host.strip("[]"), int(port)), 10) as upstream:
            if request.method == "CONNECT":
                connection.send(b"HTTP/1.1 200 Connection established\r\nX-Proxy: yes\r\n\r\n")
            else:
                path = "/" + request.target.split("/", 3)[3]
                lines = [f"{request.method} {path} HTTP/1.1"]
                lines += [f"{key}: {value}" for key, value in request.headers]
                lines += ["Connection: close", "", ""]
                upstream.sendall("\r\n".join(lines).encode("latin-1") + request.body + rest)
            _relay(connection.socket, upstream)


def _relay(client, upstream):
    """Both ways, until both have ended."""
    def pump(source, sink):
        try:
            while piece := source.recv(65536):
                sink.sendall(piece)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass
    other = threading.Thread(target=pump, args=(client, upstream), daemon=True)
    other.start()
    pump(upstream, client)
    client.shutdown(socket.SHUT_RDWR)
    other.join(10)
