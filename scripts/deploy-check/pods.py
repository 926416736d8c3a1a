"""Manifests as they are built, and their pods without a cluster: processes on loopback."""

import http.client
import re
import subprocess
import time
from pathlib import Path

import yaml

# Reading and starting take moments; only what hangs gets there.
TIMEOUT_S = 20


def read(path):
    return [document for document in yaml.safe_load_all(Path(path).read_text("utf-8")) if document]


def find(resources, kind):
    """The only resource of a kind."""
    [found] = [resource for resource in resources if resource["kind"] == kind]
    return found


def pod_of(resource):
    return resource["spec"]["template"]["spec"]


def container_of(resource):
    [container] = pod_of(resource)["containers"]
    return container


def arguments(container, environment):
    """The arguments with $(NAME) expanded, as the kubelet does."""
    def value(match):
        return environment.get(match[1], match[0])

    return [re.sub(r"\$\((\w+)\)", value, argument) for argument in container["args"]]


def environment_of(container, more):
    """The variables that a container has of its own and those of its cluster."""
    return {entry["name"]: entry["value"] for entry in container.get("env", [])} | more


def port_of(container, name):
    [port] = [port["containerPort"] for port in container["ports"] if port["name"] == name]
    return port


def variables_of(service):
    """What Kubernetes sets in every pod beside a Service, unless enableServiceLinks is false."""
    prefix = service["metadata"]["name"].upper().replace("-", "_")
    host = "10.96.0.7"
    first = service["spec"]["ports"][0]["port"]
    variables = {
        f"{prefix}_SERVICE_HOST": host,
        f"{prefix}_SERVICE_PORT": str(first),
        f"{prefix}_PORT": f"tcp://{host}:{first}",
    }
    for port in service["spec"]["ports"]:
        number = port["port"]
        variables |= {
            f"{prefix}_SERVICE_PORT_{port['name'].upper()}": str(number),
            f"{prefix}_PORT_{number}_TCP": f"tcp://{host}:{number}",
            f"{prefix}_PORT_{number}_TCP_PROTO": "tcp",
            f"{prefix}_PORT_{number}_TCP_PORT": str(number),
            f"{prefix}_PORT_{number}_TCP_ADDR": host,
        }
    return variables


def status_of(probe, container, address):
    """The HTTP status that a probe sees at a pod's address; none where nobody answers."""
    action = probe["httpGet"]
    connection = http.client.HTTPConnection(
        address, port_of(container, action["port"]), timeout=probe.get("timeoutSeconds", 1)
    )
    try:
        connection.request("GET", action["path"])
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def is_ready(container, address):
    return status_of(container["readinessProbe"], container, address) == 200


def until_ready(container, address, log):
    """Waits for a server whose log this is."""
    end = time.monotonic() + TIMEOUT_S
    while not is_ready(container, address):
        if time.monotonic() > end:
            raise RuntimeError(f"it is not ready: {log.read_text('utf-8')}")
        time.sleep(0.05)


class Server:
    """A pod of the Deployment: the server with its arguments, and a file that has its log."""

    def __init__(self, program, container, log, environment=None, address=None):
        self.container, self.log = container, Path(log)
        # Where a probe and a Service reach it. All pods have the port, each its own address.
        self.address = address or "127.0.0.2"
        words = arguments(container, {})
        if address:
            words = [word.replace("0.0.0.0", address) for word in words]
        with open(self.log, "wb") as file:
            self.process = subprocess.Popen(
                [program, *words], stderr=file, stdin=subprocess.DEVNULL, env=environment or {}
            )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        """Whatever happened, no process is left."""
        self.process.kill()
        self.process.wait()

    def is_ready(self):
        return is_ready(self.container, self.address)

    def until_ready(self):
        until_ready(self.container, self.address, self.log)

    def leave(self):
        """Asks it to end, as the kubelet does."""
        self.process.terminate()

    def until_ended(self, grace_s):
        """Waits for its end, which is to come within the grace period and without losses."""
        try:
            code = self.process.wait(grace_s)
        except subprocess.TimeoutExpired:
            code = f"no end within {grace_s} s"
        if code != 0:
            raise RuntimeError(f"it ended with {code}: {self.log.read_text('utf-8')}")
