"""Holds the manifests against the program and each other: manifests.py PROGRAM BUILT

BUILT has server.yaml and generator.yaml; the namespace of the network is to be one of its own.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from pods import Server, container_of, find, pod_of, port_of, read, status_of, variables_of

# After the drain what came by then has a second to be sent (`DrainLimits` of src/lifecycle).
FLUSH_S = 1
# For the start of the signal's way to the end of the process.
RESERVE_S = 5


def main():
    program, built = sys.argv[1], Path(sys.argv[2])
    server = read(built / "server.yaml")
    deployment, job = find(server, "Deployment"), find(read(built / "generator.yaml"), "Job")
    for resource in [deployment, job]:
        is_restricted(resource)
        has_no_links(resource)
    names_agree(server)
    replaces_before_it_ends(deployment)
    grace_suffices(program, deployment)
    memory_suffices(program, deployment)
    job_fits(job)
    alerts_name_metrics(Path("scripts/deploy/prometheus/alerts.yaml"))
    serves(program, built, deployment, find(server, "Service"))


def demand(holds, otherwise):
    if not holds:
        raise SystemExit(f"scripts/deploy/kubernetes: {otherwise}")


def is_restricted(resource):
    """Pod Security "restricted", as far as it asks for what a manifest must say."""
    pod, container = pod_of(resource), container_of(resource)
    own, common = container["securityContext"], pod["securityContext"]
    demand(common["runAsNonRoot"] and common["runAsUser"] > 0, "it may run as root")
    profile = common["seccompProfile"]["type"]
    demand(profile in ("RuntimeDefault", "Localhost"), "it has no seccomp profile")
    demand(own["allowPrivilegeEscalation"] is False, "privileges may grow")
    demand(own["capabilities"] == {"drop": ["ALL"]}, "it has capabilities")
    demand(not {"hostNetwork", "hostPID", "hostIPC", "volumes"} & set(pod), "it has of the host")
    demand("hostPort" not in str(container), "it takes a port of the host")


def has_no_links(resource):
    pod = pod_of(resource)
    demand(pod["enableServiceLinks"] is False, "it has variables of Services")
    demand(pod["automountServiceAccountToken"] is False, "it has a token of the cluster")


def names_agree(server):
    """Selectors find the pods, ports have the names that others ask for."""
    deployment, service = find(server, "Deployment"), find(server, "Service")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    selectors = [
        service["spec"]["selector"],
        deployment["spec"]["selector"]["matchLabels"],
        find(server, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
    ]
    for selector in selectors:
        demand(selector.items() <= labels.items(), f"{selector} finds no pod of {labels}")
    container = container_of(deployment)
    for port in service["spec"]["ports"]:
        demand(port["targetPort"] != "admin", "the admin port is in a Service")
        demand(port_of(container, port["targetPort"]) == port["port"], "the Service's port differs")


def replaces_before_it_ends(deployment):
    update = deployment["spec"]["strategy"]["rollingUpdate"]
    demand(update["maxUnavailable"] == 0 and update["maxSurge"] > 0, "an update takes pods away")
    demand("lifecycle" not in container_of(deployment), "the image has nothing for a hook to run")


def check(program, deployment, driver):
    """What `serve --check` says with the manifest's arguments: settings, and MiB of memory."""
    command = [program, *container_of(deployment)["args"], f"--driver={driver}", "--check"]
    found = subprocess.run(command, capture_output=True, text=True, env={}, check=False)
    demand(found.returncode == 0, f"{command}: {found.stderr}")
    return tomllib.loads(found.stdout), int(re.search(r"at most (\d+) MiB", found.stderr)[1])


def seconds(duration):
    units = {"ms": 0.001, "s": 1, "m": 60}
    parts = re.findall(r"([\d.]+)([a-z]+)", duration)
    return sum(float(number) * units[unit] for number, unit in parts)


def grace_suffices(program, deployment):
    settings, _ = check(program, deployment, "auto")
    delay, drain = seconds(settings["drain-delay"]), seconds(settings["drain-timeout"])
    grace = pod_of(deployment)["terminationGracePeriodSeconds"]
    least = delay + drain + FLUSH_S + RESERVE_S
    demand(delay > 0, "no time for endpoints to follow")
    demand(grace >= least, f"a grace period of {grace} s, where a shutdown may take {least} s")
    print(f"grace period: {grace} s for {least:g} s")


def memory_suffices(program, deployment):
    text = container_of(deployment)["resources"]["limits"]["memory"]
    limit = int(text.removesuffix("Mi"))
    for driver in ["uring", "epoll"]:
        _, bound = check(program, deployment, driver)
        demand(limit >= bound, f"a limit of {text}, where {driver} may take {bound} MiB")
        print(f"memory: {limit} MiB for {bound} MiB of {driver}")


def job_fits(job):
    spec, arguments = job["spec"], container_of(job)["args"]
    [parts] = re.findall(r"--part=\$\(JOB_COMPLETION_INDEX\)/(\d+)", " ".join(arguments))
    demand(spec["completionMode"] == "Indexed", "its pods have no index")
    demand(spec["completions"] == spec["parallelism"] == int(parts), "not as many pods as parts")
    demand(spec["backoffLimit"] == 0, "a part is measured again")
    demand(pod_of(job)["restartPolicy"] == "Never", "a part is measured again")


def alerts_name_metrics(path):
    """The series of every alert are among those that a server has, with these labels."""
    series = Path("tests/metrics.txt").read_text("utf-8").splitlines()
    [alerts] = read(path)
    rules = [rule for group in alerts["groups"] for rule in group["rules"]]
    for rule in rules:
        named = re.findall(r"\b(ringback_\w+)(?:{([^}]*)})?", rule["expr"])
        for name, labels in named:
            wanted = labels.split(",") if labels else []
            has = any(
                re.match(rf"  {name}(?:{{|$)", line) and all(label in line for label in wanted)
                for line in series
            )
            demand(has, f"{path}: {rule['alert']}: no series is {name}{{{labels}}}")


def serves(program, built, deployment, service):
    """With those very arguments, beside a Service of its name, it answers every probe."""
    container = container_of(deployment)
    server = Server(program, container, built / "server.log", variables_of(service))
    with server:
        server.until_ready()
        for name in ["readinessProbe", "livenessProbe"]:
            status = status_of(container[name], container, server.address)
            demand(status == 200, f"{name} sees {status}")
        server.leave()
        server.until_ended(pod_of(deployment)["terminationGracePeriodSeconds"])
    log = server.log.read_text("utf-8")
    demand("variables of a Kubernetes Service are no settings" in log, log)
    print("probes answered, beside variables of a Service: ok")


if __name__ == "__main__":
    main()
