"""A DNS server that fails as a test says."""

import socket
import threading

NO_ERROR, FORMERR, SERVFAIL, REFUSED = 0, 1, 2, 5
_TYPE_A = 1


class Dns:
    """Answers every question with `code` and no record; with None not at all.

    With `address` it knows each name under that one, and answers `delay` seconds late. It says
    nothing of names in `ignored`, and nothing at all while `silent`."""

    def __init__(self, lab, code, address=None, delay=0.0, ignored=(), listen="127.0.0.1"):
        self._code, self._address, self._delay, self._ignored = code, address, delay, ignored
        self.silent = code is None
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind((listen, 0))
        self.address = "{}:{}".format(*self._socket.getsockname())
        threading.Thread(target=self._run, daemon=True).start()
        lab.callback(self._close)

    def _run(self):
        while True:
            try:
                question, client = self._socket.recvfrom(512)
            except OSError:
                return
            if len(question) < 12:
                return  # from _close()
            end = question.index(b"\0", 12) + 5
            if self.silent or _name(question) in self._ignored:
                continue
            answer = self._answer(question, end)
            if self._delay:
                threading.Timer(self._delay, self._send, (answer, client)).start()
            else:
                self._send(answer, client)

    def _answer(self, question, end):
        known = self._address is not None and question[end - 3] == _TYPE_A
        record = b""
        if known:
            record = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4" + socket.inet_aton(self._address)
        # with recursion, to the same question and no section beside the answer's
        return question[:2] + bytes([0x81, 0x80 | self._code]) + b"\0\1" + bytes([0, known]) + \
            b"\0" * 4 + question[12:end] + record

    def _send(self, answer, client):
        try:
            self._socket.sendto(answer, client)
        except OSError:
            pass  # it has ended

    def _close(self):
        # a blocked recvfrom() does not notice close()
        self._socket.sendto(b"", self._socket.getsockname())
        self._socket.close()


def _name(question):
    labels, at = [], 12
    while question[at]:
        labels.append(question[at + 1:at + 1 + question[at]].decode("ascii", "replace"))
        at += 1 + question[at]
    return ".".join(labels).lower()
