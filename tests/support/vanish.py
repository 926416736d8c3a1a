"""Peers that vanish, as when their host loses power: they were served, then say nothing more.

vanish.py IP PORT COUNT

Connections in TCP_REPAIR are closed without a segment, which needs CAP_NET_ADMIN. The next segment
that the server sends to one is answered by a reset.
"""

import socket
import sys

TCP_REPAIR = 19
ip, port, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
peers = [socket.create_connection((ip, port)) for _ in range(count)]
for peer in peers:
    peer.sendall(b"here")
    assert peer.recv(4, socket.MSG_WAITALL) == b"here"
for peer in peers:
    peer.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    peer.close()
