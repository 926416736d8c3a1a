#!/usr/bin/env bash
# The inside of scripts/systemd-test.sh: systemd is PID 1, the units are installed.
set -euo pipefail

main() {
    starts_and_is_hardened
    restarts_lose_nobody
    a_wrong_configuration_is_not_tried_again
    a_server_that_hangs_is_restarted
    echo "systemd: ok"
}

starts_and_is_hardened() {
    systemctl start ringback.service
    [[ "$(property ActiveState)" == active ]] || fail "it is $(property ActiveState)"
    # The status follows once a second.
    sleep 1.5
    [[ "$(property StatusText)" == "serving, 0 connections" ]] || fail "status: $(property StatusText)"
    local pid
    pid=$(property MainPID)
    grep -q '^Seccomp:[[:space:]]*2$' "/proc/$pid/status" || fail "it is not filtered"
    grep -q '^CapEff:[[:space:]]*0000000000000000$' "/proc/$pid/status" || fail "it has capabilities"
    grep -q '^Uid:[[:space:]]*0' "/proc/$pid/status" && fail "it is root"
    /usr/bin/ringback health || fail "it is not healthy"
    journalctl -u ringback.service -o cat -p info | grep -q '^listening on ' || fail "the journal has no line"
    ! systemctl reload ringback.service 2>/dev/null || fail "a reload, which it does not have, succeeded"
    systemctl stop ringback.service
    [[ "$(property Result)" == success ]] || fail "it ended with $(property Result)"
    echo "start, hardening, stop: ok"
}

restarts_lose_nobody() {
    systemctl start ringback.socket
    python3 - <<'PYTHON'
import os, socket, subprocess, threading

RESTARTS = int(os.environ["RESTARTS"])
over, served, failed = threading.Event(), [0] * 8, []

def client(number):
    request = bytes([number]) * 10_000
    while not over.is_set():
        try:
            with socket.create_connection(("127.0.0.1", 65432), 30) as peer:
                peer.sendall(request)
                peer.shutdown(socket.SHUT_WR)
                reply = b"".join(iter(lambda: peer.recv(65536), b""))
            if reply != request:
                failed.append(f"{len(reply)} bytes of {len(request)}")
        except OSError as error:
            failed.append(repr(error))
        served[number] += 1

clients = [threading.Thread(target=client, args=(number,)) for number in range(8)]
for thread in clients:
    thread.start()
for restart in range(RESTARTS):
    before = sum(served)
    while sum(served) < before + 16:
        over.wait(0.01)
    subprocess.run(["systemctl", "restart", "ringback.service"], check=True)
    if restart == RESTARTS // 2:
        subprocess.run(["systemctl", "daemon-reload"], check=True)
over.set()
for thread in clients:
    thread.join()
assert not failed, failed[:5]
print(f"{RESTARTS} restarts, {sum(served)} connections, none lost: ok")
PYTHON
    [[ "$(systemctl show -p ActiveState --value ringback.socket)" == active ]] || fail "the socket is gone"
    systemctl stop ringback.socket ringback.service
}

a_wrong_configuration_is_not_tried_again() {
    cp /etc/ringback/ringback.toml /tmp/right.toml
    echo 'drain-timout = "1s"' >>/etc/ringback/ringback.toml
    ! systemctl start ringback.service 2>/dev/null || fail "it starts with a wrong configuration"
    [[ "$(property ExecMainStatus)" == 78 ]] || fail "exit code $(property ExecMainStatus)"
    sleep 2
    [[ "$(property NRestarts)" == 0 ]] || fail "it was started again"
    cp /tmp/right.toml /etc/ringback/ringback.toml
    systemctl reset-failed ringback.service
    echo "exit code 78 is not restarted: ok"
}

# A process that stands still does not feed the watchdog.
a_server_that_hangs_is_restarted() {
    mkdir -p /etc/systemd/system/ringback.service.d
    printf '[Service]\nWatchdogSec=3\n' >/etc/systemd/system/ringback.service.d/soon.conf
    systemctl daemon-reload
    systemctl start ringback.service
    local pid
    pid=$(property MainPID)
    kill -STOP "$pid"
    for _ in {1..200}; do
        if [[ "$(property NRestarts)" -gt 0 && "$(property ActiveState)" == active ]]; then break; fi
        sleep 0.1
    done
    [[ "$(property NRestarts)" -gt 0 ]] || fail "it hangs and is not restarted"
    [[ "$(property MainPID)" != "$pid" ]] || fail "it is the same process"
    /usr/bin/ringback health || fail "it does not serve again"
    echo "a server that hangs is restarted: ok"
}

property() {
    systemctl show -p "$1" --value ringback.service
}

fail() {
    echo "FAILED: $1"
    journalctl -u ringback.service -o cat -n 20 || true
    exit 1
}

main
