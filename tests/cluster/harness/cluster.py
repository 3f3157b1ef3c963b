"""The test cluster as tests see it: kubectl, nodes, images, waiting. Never any other cluster."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml

from catalog import load as load_catalog
from tools.cluster import control, fakenodes
from tools.cluster.layout import CONTEXT, NODE, Layout

CATALOG = load_catalog()


class ClusterCommandFailed(AssertionError):
    """kubectl exited with another code than 0; the text holds what it said."""


class Cluster:
    """One running cluster. Refuses a kubeconfig whose context is not the test cluster's."""

    def __init__(self, layout: Layout) -> None:
        self.layout, self.state, self.kubeconfig = layout, layout.state, layout.kubeconfig
        refuse_other_clusters(self.kubeconfig)

    @property
    def desk(self) -> str:
        """This machine's address as pods see it: a server that a test starts there is reachable from them."""
        return self.layout.desk

    # kubectl ----------------------------------------------------------------------------------------------------------

    def kubectl(self, *arguments: str, stdin: str | None = None, seconds: float = 60) -> str:
        """Run kubectl to its end; what it printed. Raises ClusterCommandFailed."""
        done = subprocess.run(
            [self.layout.bins / "kubectl", f"--kubeconfig={self.kubeconfig}", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        if done.returncode:
            said = f"kubectl {' '.join(arguments)} exited with {done.returncode}:\n{done.stdout}{done.stderr}"
            raise ClusterCommandFailed(said)
        return done.stdout

    def get(self, *arguments: str) -> dict[str, Any]:
        """`kubectl get ... -o json`."""
        found: dict[str, Any] = json.loads(self.kubectl("get", *arguments, "-o", "json"))
        return found

    def items(self, *arguments: str) -> list[dict[str, Any]]:
        """The objects of `kubectl get KIND ...`."""
        found: list[dict[str, Any]] = self.get(*arguments)["items"]
        return found

    def apply(self, *documents: Mapping[str, Any], namespace: str = "default") -> None:
        """Create or change objects."""
        self.kubectl("apply", "--namespace", namespace, "-f", "-", stdin=yaml.safe_dump_all(documents))

    def wait_until(self, condition: Callable[[], object], seconds: float = 60, what: str = "") -> None:
        """Poll a condition; after `seconds` an AssertionError that says what was waited for."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"not true within {seconds} s: {what}"
            time.sleep(0.1)

    # Images and nodes -------------------------------------------------------------------------------------------------

    def load(self, archive: Path) -> list[str]:
        """Import an OCI or docker archive; the names of its images."""
        return control.load(self.state, archive)

    def add_nodes(self, instance_type: str, count: int = 1, *, wait: bool = True, **labels: str) -> list[str]:
        """Fake nodes with what the catalog says of an instance type; their names. Ready, unless nobody waits."""
        facts = CATALOG.instances[instance_type]
        shape = fakenodes.Shape(
            instance_type=instance_type,
            gpus=facts.gpus,
            cpus=facts.vcpus,
            memory_gib=facts.memory_gib,
            labels=labels,
        )
        return (fakenodes.add if wait else fakenodes.create)(self.state, shape, count)

    def remove_fake_nodes(self) -> None:
        """All of them."""
        fakenodes.remove_all(self.state)

    def label_node(self, **labels: str | None) -> None:
        """Set labels of the real node (`__` is `/`, `_` is `-`); None removes one."""
        words = [
            f"{key.replace('__', '/').replace('_', '-')}{'-' if value is None else f'={value}'}"
            for key, value in labels.items()
        ]
        self.kubectl("label", "node", NODE, "--overwrite", *words)

    # Faults -----------------------------------------------------------------------------------------------------------

    def pid(self, part: str) -> int:
        """The process id of a part, such as `apiserver`."""
        record = control.running_record(self.state)
        assert record is not None, "the cluster is not running"
        found = {state.name: state.pid for state in control.part_states(record)}
        pid = found[part]
        assert pid is not None, f"{part} is being started again"
        return pid


def refuse_other_clusters(kubeconfig: Path) -> None:
    """Raise ValueError unless the file's current context is the test cluster's."""
    current = yaml.safe_load(kubeconfig.read_text())["current-context"]
    if current != CONTEXT:
        raise ValueError(f"{kubeconfig}: the context is {current!r}; tests touch {CONTEXT!r} alone")
