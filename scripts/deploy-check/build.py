"""Builds a kustomization as `kubectl kustomize DIRECTORY` does: build.py DIRECTORY

As far as scripts/deploy/kubernetes needs it: resources, components, images, and patches in the form
of RFC 6902 with a target. Whatever else a kustomization has is an error, never left out.
"""

import sys
from pathlib import Path

import yaml

import pods

KEYS = {"apiVersion", "kind", "resources", "components", "patches", "images"}


def build(directory):
    """The resources of a kustomization, in its order."""
    kustomization = read(directory, "Kustomization")
    resources = []
    for name in kustomization.get("resources", []):
        path = directory / name
        resources += build(path) if path.is_dir() else pods.read(path)
    for name in kustomization.get("components", []):
        alter(resources, read(directory / name, "Component"))
    alter(resources, kustomization)
    return resources


def read(directory, kind):
    kustomization = yaml.safe_load((directory / "kustomization.yaml").read_text("utf-8"))
    unknown = set(kustomization) - KEYS
    if unknown or kustomization.get("kind", "Kustomization") != kind:
        raise SystemExit(f"{directory}: no {kind} of {sorted(KEYS)}: {sorted(unknown)}")
    if kind == "Component" and {"resources", "components"} & set(kustomization):
        raise SystemExit(f"{directory}: a component here alters only")
    return kustomization


def alter(resources, kustomization):
    """Applies the patches and names the images."""
    for patch in kustomization.get("patches", []):
        target = patch["target"]
        if set(patch) != {"patch", "target"} or set(target) != {"kind", "name"}:
            raise SystemExit("a patch here has the operations and a target of kind and name")
        found = [
            resource
            for resource in resources
            if (resource["kind"], resource["metadata"]["name"]) == (target["kind"], target["name"])
        ]
        if not found:
            raise SystemExit(f"no resource is {target['kind']} {target['name']}")
        for resource in found:
            for operation in yaml.safe_load(patch["patch"]):
                operate(resource, **operation)
    for image in kustomization.get("images", []):
        for resource in resources:
            for container in containers(resource):
                rename(container, **image)


def operate(resource, op, path, value=None):
    """One operation of RFC 6902."""
    *parents, last = [step.replace("~1", "/").replace("~0", "~") for step in path.split("/")[1:]]
    place = resource
    for step in parents:
        place = place[int(step) if isinstance(place, list) else step]
    if isinstance(place, list):
        raise SystemExit(f"{path}: an element of a list cannot be altered here")
    if op not in ("add", "replace", "remove") or (op != "add" and last not in place):
        raise SystemExit(f"{path}: cannot {op} it")
    if op == "remove":
        del place[last]
    else:
        place[last] = value


def containers(resource):
    return resource.get("spec", {}).get("template", {}).get("spec", {}).get("containers", [])


def rename(container, name, newName=None, newTag=None):
    """Names an image anew; one with a tag or digest of its own is left to kustomize."""
    if container["image"] == name:
        container["image"] = (newName or name) + (f":{newTag}" if newTag else "")


if __name__ == "__main__":
    yaml.safe_dump_all(build(Path(sys.argv[1])), sys.stdout, sort_keys=False)
