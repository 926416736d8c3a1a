"""An echo server that behaves as badly as it is told: server.py HOST:PORT PIDS BEHAVIOUR...

Writes the numbers of its processes into the file PIDS, so that a test can see what became of them.
"""

import os
import selectors
import signal
import socket
import sys
import time

address, pids, *behaviour = sys.argv[1:]
host, port = address.rsplit(":", 1)


def note_own_pid():
    with open(pids, "a") as file:
        file.write(f"{os.getpid()}\n")


def is_told(word):
    return word in behaviour


def wait_forever():
    while True:
        time.sleep(1)


def burn(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def listen():
    listener = socket.create_server((host, int(port)))
    listener.listen(128)
    return listener


def serve(listener):
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ)
    messages = 0
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                connection, _ = listener.accept()
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if is_told("greet"):
                    connection.sendall(b"SSH-2.0-x\r\n")
                selector.register(connection, selectors.EVENT_READ)
                continue
            try:
                data = key.fileobj.recv(65536)
            except ConnectionError:
                data = b""
            if not data:
                selector.unregister(key.fileobj)
                key.fileobj.close()
                continue
            messages += 1
            if is_told("slow"):
                time.sleep(0.002)
            if is_told("burn"):
                burn(0.002)
            if is_told("greet"):
                continue
            if is_told("alter"):
                data = b"?" * len(data)
            if is_told("die-serving") and messages == 20:
                print("out of luck", file=sys.stderr, flush=True)
                os._exit(7)
            key.fileobj.sendall(data)


note_own_pid()
if is_told("ignore-term"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if is_told("die-at-once"):
    print("no \x1b[31mway", flush=True)
    print("giving up", file=sys.stderr, flush=True)
    sys.exit(3)
if is_told("never-listen"):
    wait_forever()
listener = listen()
if is_told("leave-child") and os.fork() == 0:
    # Deaf to SIGTERM: only what ends the group ends it.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    note_own_pid()
    if os.fork() == 0:
        note_own_pid()
    wait_forever()
if is_told("daemonize"):
    if os.fork() > 0:
        # The child has time to be seen.
        time.sleep(0.3)
        os._exit(0)
    os.setsid()
    note_own_pid()
serve(listener)
