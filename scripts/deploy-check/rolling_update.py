"""Plays rolling updates of the Deployment: rolling_update.py PROGRAM BUILT UPDATES

Pods are processes with an address of loopback each, the Service is a forwarder in here. A pod that
is to end gets SIGTERM; its endpoint goes some time after its readiness did, up to LATE_S, as in a
cluster, and until then new connections go on being sent to it. Clients run all the time: nobody is
refused, and every byte comes back. A control without --drain-delay shows that a refusal is seen.
"""

import asyncio
import contextlib
import itertools
import math
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from manifests import seconds
from pods import TIMEOUT_S, Server, container_of, find, pod_of, port_of, read

LATE_S = 3
# Of a pod under the profile RuntimeDefault, and of one whose profile has io_uring.
DRIVERS = [{"RINGBACK_DRIVER": "epoll"}, {"RINGBACK_DRIVER": "auto"}]
# Deployments that are updated side by side: an update takes its delay, not CPU time.
LANES = 5
# Clients of each that send something and read to the end, and that talk for up to three seconds.
SHORT, SESSIONS = 2, 6
# A client that stands still for --drain-quiet (1 s) has finished, as far as a server that drains can
# tell.
MAX_STALL_S = 0.5
# Of an update in which this host stood still for so long, or until the delay was over.
TRIES = 3


async def main():
    program, built, updates = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    deployment = find(read(built / "server.yaml"), "Deployment")
    # Each pod that ends has a thread that waits for it, and probes have theirs.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(64))
    [delay] = [word for word in container_of(deployment)["args"] if "--drain-delay=" in word]
    if seconds(delay) <= LATE_S:
        raise SystemExit(f"{delay} is no longer than the {LATE_S} s by which endpoints are late")
    with contextlib.ExitStack() as stack:
        await check_control(Lane(program, deployment, built, 0, stack), delay)
        lanes = [Lane(program, deployment, built, 1 + lane, stack) for lane in range(LANES)]
        for lane in lanes:
            lane.delay_s = seconds(delay)
        lateness = [LATE_S * update / max(updates - 1, 1) for update in range(updates)]
        shares = [lateness[number::LANES] for number in range(LANES)]
        await asyncio.gather(*(one.play(share) for one, share in zip(lanes, shares)))
    failures = [failure for one in lanes for failure in one.failures]
    if failures:
        raise SystemExit(f"{len(failures)} of the connections failed: {failures[:5]}")
    served = sum(one.served for one in lanes)
    print(f"{updates} rolling updates, {served} connections, none refused, no byte lost: ok")


async def check_control(lane, delay):
    """An endpoint that outlives its server is noticed."""
    arguments = [word for word in lane.container["args"] if word != delay]
    lane.container = lane.container | {"args": arguments}
    await lane.play([LATE_S])
    if not lane.failures:
        raise SystemExit("without --drain-delay nobody was refused: the updates show nothing")
    print(f"control, an update without --drain-delay: {lane.failures[0]}")


class Lane:
    """A Deployment, its Service and its clients."""

    def __init__(self, program, deployment, built, number, stack):
        self.program, self.built, self.number, self.stack = program, built, number, stack
        self.container = container_of(deployment)
        self.port = port_of(self.container, "echo")
        self.replicas = deployment["spec"]["replicas"]
        self.grace_s = pod_of(deployment)["terminationGracePeriodSeconds"]
        # An endpoint that goes later is no matter of the server's.
        self.delay_s = math.inf
        self.numbers = itertools.count(1)
        self.random = random.Random(number)
        # Pods that new connections are sent to, in turn.
        self.endpoints, self.turn = [], 0
        # Nobody else holds these tasks while they wait, and they would be collected as garbage.
        self.forwarding = set()
        # The longest time for which nothing in here ran.
        self.stall_s = 0
        self.is_over = False
        self.served, self.failures = 0, []

    async def play(self, lateness):
        """An update for each lateness, under load."""
        for _ in range(self.replicas):
            self.endpoints.append(await self.start_pod())
        async with await asyncio.start_server(self.forward, "127.0.0.1", 0) as service:
            self.service = service.sockets[0].getsockname()
            clients = [asyncio.create_task(self.keep(self.exchange)) for _ in range(SHORT)]
            clients += [asyncio.create_task(self.keep(self.talk)) for _ in range(SESSIONS)]
            clients.append(asyncio.create_task(self.watch_stalls()))
            for late_s in lateness:
                await self.update_in_time(late_s)
            self.is_over = True
            await asyncio.gather(*clients)

    async def start_pod(self):
        name = next(self.numbers)
        pod = Server(
            self.program,
            self.container,
            self.built / f"pod-{self.number}-{name}.log",
            DRIVERS[self.number % len(DRIVERS)],
            f"127.1.{self.number}.{name}",
        )
        self.stack.enter_context(pod)
        await asyncio.to_thread(pod.until_ready)
        return pod

    async def update_in_time(self, late_s):
        """An update, again where this host stood still."""
        for _ in range(TRIES):
            failures, self.stall_s = len(self.failures), 0
            taken_s = max(await self.update(late_s))
            if taken_s < self.delay_s and self.stall_s < MAX_STALL_S:
                return
            del self.failures[failures:]
        raise RuntimeError(
            f"this host is too busy: it stood still for {self.stall_s:.1f} s, and endpoints went"
            f" after {taken_s:.1f} s"
        )

    async def watch_stalls(self):
        while not self.is_over:
            before = time.monotonic()
            await asyncio.sleep(0.05)
            self.stall_s = max(self.stall_s, time.monotonic() - before)

    async def update(self, late_s):
        """Replaces every pod: a new one is ready before an old one is to end (maxUnavailable 0).

        Returns how long each old one had its endpoint after it was asked to end.
        """
        leaving = []
        for old in list(self.endpoints):
            self.endpoints.append(await self.start_pod())
            leaving.append(asyncio.create_task(self.end(old, late_s)))
        return await asyncio.gather(*leaving)

    async def end(self, pod, late_s):
        pod.leave()
        asked = time.monotonic()
        while await asyncio.to_thread(pod.is_ready):
            await asyncio.sleep(0.1)
        await asyncio.sleep(late_s)
        self.endpoints.remove(pod)
        taken_s = time.monotonic() - asked
        await asyncio.to_thread(pod.until_ended, self.grace_s - taken_s)
        return taken_s

    async def forward(self, reader, writer):
        """The Service: an established connection stays with its pod, whatever becomes of that."""
        self.forwarding.add(asyncio.current_task())
        self.turn += 1
        pod = self.endpoints[self.turn % len(self.endpoints)]
        try:
            connecting = asyncio.open_connection(pod.address, self.port)
            to_pod = await asyncio.wait_for(connecting, TIMEOUT_S)
            await asyncio.gather(pump(reader, to_pod[1]), pump(to_pod[0], writer))
            to_pod[1].close()
        except (OSError, asyncio.TimeoutError) as error:
            self.failures.append(f"{pod.address}: {error!r}")
        finally:
            writer.close()
            self.forwarding.discard(asyncio.current_task())

    async def keep(self, client):
        """One client after the other."""
        while not self.is_over:
            reader, writer = await asyncio.open_connection(*self.service)
            try:
                await asyncio.wait_for(client(reader, writer), TIMEOUT_S)
                self.served += 1
            except (OSError, EOFError, asyncio.TimeoutError) as error:
                self.failures.append(repr(error))
            finally:
                writer.close()
            await asyncio.sleep(0.02)

    async def exchange(self, reader, writer):
        """Sends something, half-closes and reads to the end."""
        request = self.random.randbytes(10_000)
        writer.write(request)
        writer.write_eof()
        reply = await reader.read(-1)
        if reply != request:
            raise EOFError(f"{len(reply)} bytes of {len(request)}")

    async def talk(self, reader, writer):
        """Says something every so often and awaits its echo, across the end of its server."""
        for _ in range(self.random.randrange(3, 30)):
            message = self.random.randbytes(100)
            writer.write(message)
            if await reader.readexactly(len(message)) != message:
                raise EOFError("other bytes came back")
            await asyncio.sleep(0.1)
        writer.write_eof()
        if await reader.read(-1):
            raise EOFError("more came back than was sent")


async def pump(reader, writer):
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.write_eof()


if __name__ == "__main__":
    asyncio.run(main())
