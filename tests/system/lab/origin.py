"""A server that does exactly what a test says, byte by byte."""

import socket
import ssl
import struct
import threading


class Connection:
    """One accepted connection, in a thread of its own, as a behaviour sees it."""

    def __init__(self, origin, sock, number):
        self._origin, self.socket, self.number = origin, sock, number
        self.path = None

    def read_request(self):
        """Reads to the end of the request's head; False: the client went away before."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = self.socket.recv(65536)
            if not piece:
                return False
            data += piece
        self.path = data.split(b" ", 2)[1].decode("ascii", "replace")
        self._origin.count_request()
        return True

    def send(self, data):
        self.socket.sendall(data)

    def pause(self, seconds):
        """Returns early, with False, when the origin ends."""
        return not self._origin.ended.wait(seconds)

    def stall(self):
        """Holds the connection until the client gives it up, or the origin ends."""
        self.socket.settimeout(2)
        while not self._origin.ended.is_set():
            try:
                if not self.socket.recv(65536):
                    return
            except (TimeoutError, ssl.SSLWantReadError):
                continue

    def close_and_reset(self):
        """Ends by FIN, and then by RST."""
        self.socket.shutdown(socket.SHUT_WR)
        self.reset()

    def reset(self):
        """Ends by RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # detached, so that no TLS goodbye goes out before
        socket.close(self.socket.detach())

    def finish(self):
        """Ends by FIN, after the client has had the time to read all."""
        self.socket.shutdown(socket.SHUT_WR)
        self.stall()


class Origin:
    """Listens on loopback and gives every connection to `behave(connection)`.

    With `certificate` the connection has done its TLS handshake before, in a context that
    `change_context` has had its way with. What goes wrong on the way, as when the client hangs up,
    is not the test's concern.
    """

    def __init__(self, lab, behave, certificate=None, address="127.0.0.1", port=0,
                 change_context=None, change_listener=None):
        self._behave, self._lock = behave, threading.Lock()
        self.connections = self.requests = 0
        self.ended = threading.Event()
        self.tls_context = None
        if certificate is not None:
            self.tls_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.tls_context.load_cert_chain(*certificate)
            if change_context is not None:
                change_context(self.tls_context)
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((address, port))
        if change_listener is not None:
            change_listener(self._listener)
        self._listener.listen(1024)
        self.address, self.port = self._listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()
        lab.callback(self.close)

    def url(self, path="/", host=None):
        scheme = "http" if self.tls_context is None else "https"
        return f"{scheme}://{host or self.address}:{self.port}{path}"

    def count_request(self):
        with self._lock:
            self.requests += 1

    def close(self):
        self.ended.set()
        # a blocked accept() does not notice close()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self.connections += 1
                number = self.connections
            threading.Thread(target=self._serve, args=(sock, number), daemon=True).start()

    def _serve(self, sock, number):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            if self.tls_context is not None:
                sock.settimeout(30)
                sock = self.tls_context.wrap_socket(sock, server_side=True,
                                                    do_handshake_on_connect=False)
                try:
                    sock.do_handshake()
                except ssl.SSLError:
                    # with something unread close() would reset, and take our alert with it
                    Connection(self, sock, number).finish()
                    raise
            self._behave(Connection(self, sock, number))
        except (OSError, ValueError):
            pass  # the client hung up, or refused our certificate, or we its
        finally:
            sock.close()


def answer(data, delay=0.0):
    """Reads the request, waits, sends `data`, closes."""
    def behave(connection):
        if connection.read_request() and connection.pause(delay):
            connection.send(data)
            connection.finish()
    return behave


def cut(data, offset, how):
    """Sends `data` up to `offset`, then ends by `how`: "close", "reset", "close_and_reset" or
    "stall"."""
    def behave(connection):
        if not connection.read_request():
            return
        connection.send(data[:offset])
        {"close": connection.finish, "reset": connection.reset, "stall": connection.stall,
         "close_and_reset": connection.close_and_reset}[how]()
    return behave


def full_backlog(lab):
    """The port of a listener whose queue is full: its SYNs are never answered."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    lab.callback(listener.close)
    for _ in range(8):
        client = socket.socket()
        client.setblocking(False)
        client.connect_ex(listener.getsockname())
        lab.callback(client.close)
    return listener.getsockname()[1]
