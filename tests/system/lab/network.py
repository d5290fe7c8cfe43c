"""A network of the test's own, with black holes in it, and what a network itself answers."""

import contextlib
import ctypes
import itertools
import os
import socket
import struct
import subprocess
import sys
import threading
import time

_MARK = "TALLYD_TEST_NETWORK"
HERE = "10.9.0.1"  # ours, and what black holes see
BLACK_HOLE = "10.9.1."  # routed to loopback, where nobody has these addresses: all is dropped
UNREACHABLE, PROHIBITED, DISCARDED = "192.0.2.1", "192.0.2.2", "192.0.2.3"
NO_ROUTE = "198.51.100.1"


def own_network():
    """Runs this very script again in a network of its own, unless it is the one that runs there."""
    if os.environ.get(_MARK) != str(os.getppid()):
        as_root = [] if os.getuid() == 0 else ["--map-root-user"]
        alone = ["unshare", *as_root, "--net"]
        probe = subprocess.run([*alone, "true"], check=False)
        assert probe.returncode == 0, "this machine lets a test have no network of its own"
        # unshare becomes the script: its parent is ours
        os.environ[_MARK] = str(os.getppid())
        os.execvp(alone[0], [*alone, sys.executable, *sys.argv])
    for words in (
            "link set lo up", f"addr add {HERE}/32 dev lo",
            f"route add {BLACK_HOLE}0/24 dev lo src {HERE}",
            f"route add unreachable {UNREACHABLE}", f"route add prohibit {PROHIBITED}",
            f"route add blackhole {DISCARDED}"):
        subprocess.run(["ip", *words.split()], check=True)


def has_way_out():
    """Whether this machine has a default route; where it has none tallyd says so of what fails."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        return probe.connect_ex(("198.41.0.4", 9)) == 0  # nothing is sent


def sysctl(name, *values):
    """Of this network alone."""
    with open(f"/proc/sys/net/ipv4/{name}", "w", encoding="ascii") as file:
        file.write(" ".join(map(str, values)))


def _checksum(data):
    total = sum(struct.unpack(f">{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


class Packet:
    """A TCP segment on its way."""

    def __init__(self, data):
        head, length = (data[0] & 15) * 4, struct.unpack_from(">H", data, 2)[0]
        self.data, self.source, self.target = data, data[12:16], data[16:20]
        self.source_port, self.target_port, self.seq = struct.unpack_from(">HHI", data, head)
        self.is_syn = data[head + 13] & 0x12 == 0x02
        self.has_data = length > head + (data[head + 12] >> 4) * 4


class Wire:
    """Sees what comes in over loopback for one address, and lets `answer(wire, packet)` say what
    the network, or a host with a mind of its own, says to that."""

    def __init__(self, lab, address, answer):
        self.address, self._answer = address, answer
        self._seen = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
        self._seen.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self._seen.bind(("lo", 0x0800))
        self._seen.settimeout(0.2)
        self._icmp = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self._ip = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        lab.callback(self._close)

    def send_unreachable(self, packet, code):
        """ICMP "destination unreachable": `code` says in which way."""
        head = struct.pack(">BBHI", 3, code, 0, 0)
        body = packet.data[:28]
        head = struct.pack(">BBHI", 3, code, _checksum(head + body), 0)
        self._icmp.sendto(head + body, (socket.inet_ntoa(packet.source), 0))

    def send_segment(self, packet, flags, seq):
        """A TCP segment that answers `packet`, without data."""
        pseudo = packet.target + packet.source + struct.pack(">BBH", 0, 6, 20)
        tcp = struct.pack(">HHIIBBHHH", packet.target_port, packet.source_port, seq,
                          packet.seq + 1 & 0xffffffff, 5 << 4, flags, 65535, 0, 0)
        tcp = tcp[:16] + struct.pack(">H", _checksum(pseudo + tcp)) + tcp[18:]
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 40, 0, 0, 64, 6, 0) + packet.target + packet.source
        self._ip.sendto(ip + tcp, (socket.inet_ntoa(packet.source), 0))

    def _run(self):
        target = socket.inet_aton(self.address)
        while not self._ended.is_set():
            try:
                data = self._seen.recv(65536)
            except TimeoutError:
                continue
            if data[9] != socket.IPPROTO_TCP or data[16:20] != target:
                continue
            with contextlib.suppress(OSError):
                self._answer(self, Packet(data))

    def _close(self):
        self._ended.set()
        self._thread.join()
        for sock in (self._seen, self._icmp, self._ip):
            sock.close()


SYN_ACK, RST, FIN_ACK = 0x12, 0x04, 0x11


def to_syn(answer):
    return lambda wire, packet: packet.is_syn and answer(wire, packet)


def to_data(answer):
    return lambda wire, packet: packet.has_data and answer(wire, packet)


def unreachable(code):
    return lambda wire, packet: wire.send_unreachable(packet, code)


def accept_and_end(*ends):
    """Accepts a connection and ends it, in each of a few hundred microseconds of its life in turn,
    the first included: a client finds that out when it looks for its connection, writes or reads.
    """
    seen = itertools.count()

    def act(wire, packet):
        wire.send_segment(packet, SYN_ACK, 1000)
        end = time.monotonic() + next(seen) % 100 * 3e-6
        while time.monotonic() < end:  # too short to sleep
            pass
        for number, flags in enumerate(ends, 1001):
            wire.send_segment(packet, flags, number)
    return act


# Classic BPF: a segment passes if it is as long as its head, so that what has data in it is
# neither received nor acknowledged.
_DEAF = ((0x30, 0, 0, 12), (0x74, 0, 0, 4), (0x64, 0, 0, 2), (0x07, 0, 0, 0), (0x80, 0, 0, 0),
         (0x1d, 0, 1, 0), (0x06, 0, 0, 0xffffffff), (0x06, 0, 0, 0))
_SO_ATTACH_FILTER = 26


def deafen(sock):
    """From now on the socket hears no data; what a listener accepts is deaf from the start."""
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in _DEAF)
    memory = ctypes.create_string_buffer(code)
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER,
                    struct.pack("HxxxxxxP", len(_DEAF), ctypes.addressof(memory)))
