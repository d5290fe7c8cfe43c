"""A DNS server that fails as a test says."""

import socket
import threading

NO_ERROR, FORMERR, SERVFAIL, REFUSED = 0, 1, 2, 5


class Dns:
    """Answers every question with `code` and no record; with None not at all."""

    def __init__(self, lab, code):
        self._code = code
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        if code is not None:
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
            # an answer, with recursion, to the same question and no other section
            end = question.index(b"\0", 12) + 5
            head = question[:2] + bytes([0x81, 0x80 | self._code]) + b"\0\1" + b"\0" * 6
            self._socket.sendto(head + question[12:end], client)

    def _close(self):
        # a blocked recvfrom() does not notice close()
        self._socket.sendto(b"", self._socket.getsockname())
        self._socket.close()
