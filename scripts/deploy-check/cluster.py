"""Stands in for a cluster: kubectl's commands of the guide, with processes for pods.

CLUSTER is the directory of what runs, PROGRAMS that of ringback and ringback-load, KUBECTL the
program for what needs no cluster, if there is one. Processes are left to run: guide.sh has a
namespace of processes around all of them, and the names of Services in its file of hosts.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import build
import yaml
from pods import Server, arguments, container_of, environment_of, find, pod_of, until_ready

CLUSTER = Path(os.environ["CLUSTER"])
PROGRAMS = Path(os.environ["PROGRAMS"])
# Ends of parts that have a log to merge: valid, or not on a host as busy as this one.
MEASURED = {0, 4}


def main():
    command, *words = sys.argv[1:]
    COMMANDS[command](words)


def kustomize(words):
    [directory] = words
    if not without_cluster(["kustomize", directory]):
        yaml.safe_dump_all(build.build(Path(directory)), sys.stdout)


def without_cluster(words):
    """Leaves it to kubectl, if it is installed."""
    if kubectl := os.environ.get("KUBECTL"):
        subprocess.run([kubectl, *words], check=True)
    return bool(kubectl)


def set_(words):
    """`set image` and `set env` of what is on the standard input."""
    if without_cluster(["set", *words]):
        return
    what, *options, assignment = words
    assert options == ["--local", "-f", "-", "-o", "yaml"], options
    name, value = assignment.split("=", 1)
    resource = yaml.safe_load(sys.stdin)
    container = container_of(resource)
    if what == "image":
        assert container["name"] == name, name
        container["image"] = value
    else:
        [entry] = [entry for entry in container["env"] if entry["name"] == name]
        entry["value"] = value
    yaml.safe_dump(resource, sys.stdout)


def apply(words):
    option, directory = words
    assert option == "-k", option
    built = subprocess.run(
        [sys.executable, __file__, "kustomize", directory], check=True, capture_output=True
    ).stdout
    resources = list(yaml.safe_load_all(built))
    deployment = find(resources, "Deployment")
    must_have_image(deployment)
    (CLUSTER / "deployment.yaml").write_text(yaml.safe_dump(deployment), "utf-8")
    Server(PROGRAMS / "ringback", container_of(deployment), CLUSTER / "server.log")


def create(words):
    assert words == ["-f", "-"], words
    job = yaml.safe_load(sys.stdin)
    must_have_image(job)
    container = container_of(job)
    program = PROGRAMS / container["command"][0].lstrip("/")
    for index in range(job["spec"]["completions"]):
        environment = environment_of(container, {"JOB_COMPLETION_INDEX": str(index)})
        # Both streams are one log, as the kubelet's are. The shell notes how it ended.
        subprocess.Popen(
            ["sh", "-c", 'log=$1; shift; "$@" >"$log" 2>&1; echo $? >"$log.end"', "-",
             CLUSTER / f"part-{index}", program, *faster(arguments(container, environment))],
            env=environment,
        )


def faster(words):
    """The arguments with a load that a single host has room for."""
    replaced = dict(word.split("=") for word in os.environ["FASTER"].split())
    for name in replaced:
        assert any(word.startswith(f"{name}=") for word in words), name
    names = (word.split("=")[0] for word in words)
    return [f"{name}={replaced[name]}" if name in replaced else word
            for name, word in zip(names, words)]


def must_have_image(resource):
    image = container_of(resource)["image"]
    assert image.startswith("registry.example/ringback:"), image
    assert pod_of(resource)["securityContext"]["runAsNonRoot"]


def rollout(words):
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", choices=["status"])
    parser.add_argument("what", choices=["deployment/ringback"])
    parser.add_argument("--timeout")
    parser.parse_args(words)
    deployment = yaml.safe_load((CLUSTER / "deployment.yaml").read_text("utf-8"))
    until_ready(container_of(deployment), "127.0.0.1", CLUSTER / "server.log")


def wait(words):
    parser = argparse.ArgumentParser()
    parser.add_argument("--for", dest="condition", choices=["condition=complete"], required=True)
    parser.add_argument("--timeout")
    parser.add_argument("what", choices=["job/ringback-load"])
    parser.parse_args(words)
    while len(ends := list(CLUSTER.glob("part-*.end"))) < len(list(CLUSTER.glob("part-?"))):
        time.sleep(0.1)
    for end in ends:
        code = int(end.read_text("utf-8"))
        assert code in MEASURED, f"{end}: {code}: {end.with_suffix('').read_text('utf-8')}"


def logs(words):
    parser = argparse.ArgumentParser()
    parser.add_argument("-l", dest="selector", required=True)
    # Of a selector kubectl prints ten lines otherwise.
    parser.add_argument("--tail", choices=["-1"], required=True)
    labels = dict(label.split("=") for label in parser.parse_args(words).selector.split(","))
    assert labels.pop("batch.kubernetes.io/job-name") == "ringback-load", labels
    index = labels.pop("batch.kubernetes.io/job-completion-index")
    assert not labels, labels
    sys.stdout.write((CLUSTER / f"part-{index}").read_text("utf-8"))


def delete(words):
    assert words == ["job", "ringback-load"], words
    for file in CLUSTER.glob("part-*"):
        file.unlink()


COMMANDS = {
    "apply": apply,
    "create": create,
    "delete": delete,
    "kustomize": kustomize,
    "logs": logs,
    "rollout": rollout,
    "set": set_,
    "wait": wait,
}

if __name__ == "__main__":
    main()
