"""Peers of an echo server on 127.0.0.1 whose urgent byte arrives before the bytes that precede it.

usage: urgent_ahead.py PORT PEERS

Prints "ahead" once every peer is in that state, and waits for a line. Then the last peer, the one
before it and so on send what was missing, and each must have it back before the next does; exits 0
if so. Needs CAP_NET_RAW and CAP_NET_ADMIN.
"""

import socket
import struct
import sys

TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ = 19, 20, 21
RECEIVE_QUEUE, SEND_QUEUE = 1, 2
REPAIR_OFF_WITHOUT_PROBE = -1
ACK_PSH_URG = 0x38
LOOPBACK = socket.inet_aton("127.0.0.1")
# What the segment overtakes, and what it carries; its second byte is urgent.
GAP, URGENT = b"0123456789", b"UUUU"


def connect(port):
    peer = socket.create_connection(("127.0.0.1", port), timeout=10)
    peer.sendall(b"hello")
    assert peer.makefile("rb").read(5) == b"hello"
    return peer


def sequence_numbers(peer):
    """The next of each direction: to send, to receive."""
    peer.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    numbers = []
    for queue in (SEND_QUEUE, RECEIVE_QUEUE):
        peer.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR_QUEUE, queue)
        numbers.append(peer.getsockopt(socket.IPPROTO_TCP, TCP_QUEUE_SEQ) & 0xFFFFFFFF)
    peer.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, REPAIR_OFF_WITHOUT_PROBE)
    return numbers


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def send_urgent_ahead(raw, peer):
    """A segment with an urgent byte, as one that overtook the segment with GAP would be."""
    to_send, to_receive = sequence_numbers(peer)
    ports = peer.getsockname()[1], peer.getpeername()[1]
    sequence = (to_send + len(GAP)) & 0xFFFFFFFF

    def segment(check):
        rest = (sequence, to_receive, 5 << 4, ACK_PSH_URG, 512, check, 2)
        return struct.pack("!HHIIBBHHH", *ports, *rest) + URGENT

    pseudo_header = LOOPBACK * 2 + struct.pack("!BBH", 0, socket.IPPROTO_TCP, len(segment(0)))
    raw.sendto(segment(checksum(pseudo_header + segment(0))), ("127.0.0.1", 0))


def main():
    port, count = map(int, sys.argv[1:])
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
    peers = [connect(port) for _ in range(count)]
    for peer in peers:
        send_urgent_ahead(raw, peer)
    print("ahead", flush=True)
    sys.stdin.readline()
    for peer in reversed(peers):
        # The peer's own kernel knows of no segment that overtook.
        peer.sendall(GAP + URGENT)
        echoed = peer.makefile("rb").read(len(GAP + URGENT))
        assert echoed == GAP + URGENT, echoed


main()
