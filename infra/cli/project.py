"""Which project, stack and stack file a command is about, found as the Pulumi CLI finds them."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from infra.cli.failure import USAGE, Failure
from runtime.contract.cluster import ClusterAddress

PROJECT_FILES = ("Pulumi.yaml", "Pulumi.yml")


@dataclass(frozen=True)
class Project:
    """A folder with a Pulumi.yaml."""

    file: Path

    @property
    def root(self) -> Path:
        """The project's folder."""
        return self.file.parent

    @cached_property
    def settings(self) -> Mapping[str, Any]:
        """What Pulumi.yaml says."""
        document = _yaml(self.file)
        if not isinstance(document, Mapping):
            raise Failure(f"{self.file} is not a Pulumi project file: it holds no mapping")
        return document

    @property
    def name(self) -> str:
        """The project's name."""
        return str(self.settings.get("name", self.root.name))

    @property
    def stack_folder(self) -> Path:
        """Where the stack files lie."""
        return self.root / str(self.settings.get("stackConfigDir", "."))

    @property
    def program_folder(self) -> Path:
        """Where the Pulumi program runs: the folder that `main` names."""
        main = (self.root / str(self.settings.get("main", "."))).resolve()
        return main if main.is_dir() else main.parent

    def stacks(self) -> list[str]:
        """The stacks that have a file."""
        files = [file for file in self.stack_folder.glob("Pulumi.*.y*ml") if file.suffix in (".yaml", ".yml")]
        return sorted(file.name.removeprefix("Pulumi.").removesuffix(file.suffix) for file in files)

    def stack_file(self, stack: str) -> Path:
        """The file of a stack, whether it exists or not."""
        for suffix in ("yaml", "yml"):
            if (file := self.stack_folder / f"Pulumi.{stack}.{suffix}").exists():
                return file
        return self.stack_folder / f"Pulumi.{stack}.yaml"


@dataclass(frozen=True)
class Here:
    """A project and one of its stacks."""

    project: Project
    stack: str

    @property
    def file(self) -> Path:
        """The stack file; a Failure when there is none."""
        file = self.project.stack_file(self.stack)
        if not file.exists():
            known = self.project.stacks()
            near = difflib.get_close_matches(self.stack, known, n=1)
            hint = (
                f"did you mean {near[0]}?"
                if near
                else f"stacks here: {', '.join(known)}"
                if known
                else "`inferform init` writes one"
            )
            raise Failure(f"there is no stack file {file}", hint)
        return file

    @property
    def state(self) -> Path:
        """The folder of the local target's host: `target.state` of the stack file, else `.inferform/<stack>`."""
        named = self._target.get("state")
        return (
            self.project.root / Path(str(named)).expanduser()
            if named
            else self.project.root / ".inferform" / self.stack
        ).absolute()

    @property
    def cluster(self) -> ClusterAddress | None:
        """The namespace that the stack lives in, where its target is a cluster."""
        target = self._target
        if target.get("kind") != "kubernetes":
            return None
        from infra.stackfile.targets import KubernetesTarget  # late: a local stack needs none of it

        kubeconfig, default = target.get("kubeconfig"), KubernetesTarget.model_fields["namespace"].default
        return ClusterAddress(
            namespace=str(target.get("namespace") or default),
            context=str(target.get("context") or ""),
            kubeconfig=str(self.project.root / Path(str(kubeconfig)).expanduser()) if kubeconfig else "",
        )

    @property
    def _target(self) -> Mapping[str, Any]:
        file = self.project.stack_file(self.stack)
        document = _yaml(file) if file.exists() else None
        config = document.get("config") if isinstance(document, Mapping) else None
        target = config.get("inferform:target") if isinstance(config, Mapping) else None
        return target if isinstance(target, Mapping) else {}


def find_project(start: Path) -> Project:
    """The project around a folder: the nearest Pulumi.yaml upwards."""
    for folder in (start, *start.parents):
        for name in PROJECT_FILES:
            if (folder / name).is_file():
                return Project(folder / name)
    raise Failure(
        f"there is no Pulumi.yaml in {start} or above it", "change into an Inferform project first", code=USAGE
    )


def find(stack: str | None) -> Here:
    """The project of the working folder and the stack meant: `stack`, the selected one, or the only one there is."""
    project = find_project(Path.cwd())
    return Here(project, choose_stack(project, stack))


def choose_stack(project: Project, given: str | None, environment: Mapping[str, str] = os.environ) -> str:
    """Which stack is meant; the first that is known wins.

    1. The one given (--stack, or PULUMI_STACK).
    2. The one that `pulumi stack select` chose for this project.
    3. The only one that has a stack file.
    """
    chosen = given or environment.get("PULUMI_STACK") or _selected(project, environment)
    if chosen:
        return chosen.rpartition("/")[2]
    stacks = project.stacks()
    if len(stacks) == 1:
        return stacks[0]
    if not stacks:
        raise Failure(f"{project.root} has no stack file", "`inferform init` writes one", code=USAGE)
    raise Failure(
        f"there are several stacks: {', '.join(stacks)}", "say which with --stack, or `pulumi stack select`", code=USAGE
    )


def _selected(project: Project, environment: Mapping[str, str]) -> str:
    """What Pulumi's workspace file of this project says; it is named by the SHA-1 of Pulumi.yaml's path."""
    home = Path(environment.get("PULUMI_HOME") or Path(environment.get("HOME", "~")).expanduser() / ".pulumi")
    for path in dict.fromkeys((project.file.absolute(), project.file.resolve())):
        digest = hashlib.sha1(str(path).encode(), usedforsecurity=False).hexdigest()
        try:
            data = json.loads((home / "workspaces" / f"{project.name}-{digest}-workspace.json").read_text())
        except (OSError, json.JSONDecodeError):
            continue
        if isinstance(data, dict) and data.get("stack"):
            return str(data["stack"])
    return ""


def _yaml(path: Path) -> Any:
    from infra import yaml12

    try:
        return yaml12.load(path.read_text(encoding="utf-8"))
    except (yaml12.YAMLError, ValueError) as bad:
        raise Failure(f"{path} is not YAML: {str(bad).splitlines()[0]}") from bad
