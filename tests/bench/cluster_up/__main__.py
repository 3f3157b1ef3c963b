"""`python -m tests.bench.cluster_up [SERVICES]`: up, no-op up and a one-line change beside a bare program.

Goals: ratios of at most 1.5, 1.3 and 1.3. Services are stopped, so that nothing waits for pods on either side. Needs
a cluster: `scripts/cluster up`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from runtime.contract.paths import cache_folder
from tests.bench.pairs import Ratio, interleave
from tests.cluster.harness import Cluster, ClusterProject
from tests.cluster.harness.image import load_image
from tests.e2e.harness import scripted
from tools import build
from tools.cluster import control

HERE = Path(__file__).parent
UP = ("up", "--yes", "--skip-preview", "--non-interactive", "--stack", "test", "--parallel", "32")
CATALOG = """
defaults: {verified: documented, source: this benchmark, date: 2026-11-25}
instances:
  nowhere-2: {cloud: own, family: nowhere, vcpus: 2, memoryGib: 8}
"""
GROUPS = {"nowhere": {"instanceTypes": ["nowhere-2"], "nodes": {"min": 0, "max": 500}}}
"""No node has this type, so no pod starts on this machine."""


def services(count: int, queue: int = 64) -> dict[str, Any]:
    """So many stopped services; the first has this queue limit."""
    made = {
        f"chat_{n}": scripted(stopped=True, resources={"group": "nowhere", "cpus": 1, "memoryGiB": 1})
        for n in range(count)
    }
    made["chat_0"]["limits"] = {"queue": queue}
    return made


def timed(folder: Path, environment: dict[str, str]) -> float:
    """Seconds of one `pulumi up` that must succeed."""
    start = time.monotonic()
    done = subprocess.run(["pulumi", *UP], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return time.monotonic() - start


def bare_objects(state: dict[str, Any], namespace: str, cluster: Cluster) -> list[dict[str, Any]]:
    """Our stack's Kubernetes objects in another namespace, with the dependencies between them.

    Those that our own resources write (rows of versions, route tables, tokens) are objects as well: without them there
    would be no service.
    """
    found = written(state, namespace, cluster)
    for each in state["deployment"]["resources"]:
        if each["type"].startswith("kubernetes:"):
            inputs = moved(each["inputs"], namespace)
            name = each["urn"].rsplit("::", 1)[1]
            dependencies = each.get("dependencies", [])
            found.append(
                {"urn": each["urn"], "type": each["type"], "name": name, "inputs": inputs, "after": dependencies}
            )
    return found


def moved(inputs: dict[str, Any], namespace: str) -> dict[str, Any]:
    """An object of ours as the peer's: wherever it names our namespace, the peer's."""
    found: dict[str, Any] = json.loads(json.dumps(inputs).replace(namespace, f"{namespace}-bare"))
    return found


def written(state: dict[str, Any], namespace: str, cluster: Cluster) -> list[dict[str, Any]]:
    """What is in the namespace, and in no Kubernetes resource of the state."""
    known = {(each["type"], each.get("id")) for each in state["deployment"]["resources"]}
    found = []
    for each in json.loads(cluster.kubectl("get", "configmap,secret", "--namespace", namespace, "-o", "json"))["items"]:
        kind, meta = each["kind"], each["metadata"]
        type_ = f"kubernetes:core/v1:{kind}"
        if (type_, f"{namespace}/{meta['name']}") in known or meta["name"] == "kube-root-ca.crt":
            continue
        kept = {key: meta[key] for key in ("name", "labels", "annotations") if key in meta}
        body = {key: each[key] for key in ("apiVersion", "kind", "data", "type") if key in each}
        inputs = moved({**body, "metadata": {**kept, "namespace": namespace}}, namespace)
        urn = f"{kind}/{meta['name']}"
        found.append({"urn": urn, "type": type_, "name": meta["name"], "inputs": inputs, "after": []})
    return found


class Bare:
    """The peer's project."""

    def __init__(self, folder: Path, ours: ClusterProject, objects: list[dict[str, Any]]) -> None:
        self.folder, self.objects, self.file = folder, objects, folder / "objects.json"
        folder.mkdir()
        self.environment = {
            **ours.environment,
            "BARE_KUBECONFIG": str(ours.cluster.kubeconfig),
            "BARE_OBJECTS": str(self.file),
        }
        settings = {
            "name": "bare",
            "main": os.path.relpath(HERE / "program", folder),
            "runtime": {
                "name": "python",
                "options": {"toolchain": "pip", "virtualenv": os.path.relpath(sys.prefix, folder)},
            },
            "plugins": {"providers": [{"name": "kubernetes", "path": str(build.ensure("kubernetes-provider"))}]},
        }
        (folder / "Pulumi.yaml").write_text(yaml.safe_dump(settings))
        self.write()
        init = ["pulumi", "stack", "init", "test", "--secrets-provider=passphrase", "--non-interactive"]
        subprocess.run(init, cwd=folder, env=self.environment, check=True, stdout=subprocess.DEVNULL)

    def write(self, note: str = "") -> None:
        """The objects; `note` changes one of them, as our one-line change does."""
        objects = json.loads(json.dumps(self.objects))
        if note:
            objects[0]["inputs"]["metadata"].setdefault("annotations", {})["note"] = note
        self.file.write_text(json.dumps(objects))


def measured(count: int) -> None:
    """Deploy, repeat, change; print three ratios and the size of the state."""
    cluster = Cluster(control.needed(cache_folder() / "cluster"))
    with tempfile.TemporaryDirectory(prefix="ifb-") as scratch:
        with ClusterProject(Path(scratch) / "ours", cluster) as ours:
            ours.changes_of_target["image"] = load_image(cluster)
            (ours.folder / "inferform.catalog.yaml").write_text(CATALOG)
            ours.write(services(count), resourceGroups=GROUPS)
            first = timed(ours.folder, ours.environment)
            exported = ours.pulumi("stack", "export", "--stack", "test").output
            state = json.loads(exported)
            objects = bare_objects(state, ours.namespace, cluster)
            name = f"{ours.namespace}-bare"
            cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
            try:
                bare = Bare(Path(scratch) / "bare", ours, objects)
                bare_first = timed(bare.folder, bare.environment)
                print(Ratio((first,), (bare_first,)).line(f"up, {count} services, {len(objects)} objects", "s"))
                resources = len(state["deployment"]["resources"])
                print(f"state: {len(exported) / 2**20:.1f} MiB, {resources} resources")
                no_op = interleave(
                    lambda: timed(ours.folder, ours.environment), lambda: timed(bare.folder, bare.environment), pairs=3
                )
                print(no_op.line("no-op up", "s"))
                print(changing(ours, bare, count).line("one-line change", "s"))
                destroy = ["pulumi", "destroy", "--yes", "--skip-preview", "--non-interactive", "--stack", "test"]
                subprocess.run(destroy, cwd=bare.folder, env=bare.environment, check=True, stdout=subprocess.DEVNULL)
            finally:
                cluster.kubectl("delete", "namespace", name, "--ignore-not-found", seconds=300)


def changing(ours: ClusterProject, bare: Bare, count: int) -> Ratio:
    """Each `up` changes one line."""
    turns = iter(range(100))

    def our() -> float:
        ours.write(services(count, queue=100 + next(turns)), resourceGroups=GROUPS)
        return timed(ours.folder, ours.environment)

    def their() -> float:
        bare.write(f"n{next(turns)}")
        return timed(bare.folder, bare.environment)

    steps: tuple[Callable[[], float], Callable[[], float]] = (our, their)
    return interleave(*steps, pairs=3)


if __name__ == "__main__":
    measured(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
