"""What another hand changed is shown by a refresh and repaired by a plain `up`; a running service can be imported."""

from __future__ import annotations

import json
import subprocess
import sys

import yaml

from runtime.contract.version import Bounds
from tests.e2e.harness import Project, ask, scripted
from tests.e2e.harness.project import pulumi_program


def test_a_refresh_shows_what_runs_and_a_plain_up_repairs_it(project: Project) -> None:
    project.write({"chat": scripted(replicas={"min": 1, "max": 2})})
    project.up()
    token, pids = project.token(), project.pids()
    [version] = project.host.versions()

    project.host.put_version(version.record.model_copy(update={"bounds": Bounds(min=0, max=9)}))
    project.host.delete_token("chat")
    changes = project.changes()
    assert set(changes.values()) == {"update"}, changes
    output = project.refresh()
    assert "9" in output
    project.up()
    [version] = project.host.versions()
    assert version.record.bounds == Bounds(min=1, max=2)
    assert project.token() == token
    project.assert_no_changes()

    project.host.delete_route("chat")
    project.up()
    assert ask(project.endpoint, "chat", token).status == 200
    assert project.pids() == pids
    project.assert_no_changes()
    project.refresh("--expect-no-changes")


def test_a_running_service_is_imported_by_ids_and_its_token_is_not_shown(project: Project) -> None:
    project.write({"chat": scripted()})
    project.up()
    [version] = project.host.versions()
    hash, token = version.record.hash, project.token()
    elsewhere = project.folder / "elsewhere"
    elsewhere.mkdir()
    settings = yaml.safe_load((project.folder / "Pulumi.yaml").read_text())
    settings["runtime"]["options"]["virtualenv"] = sys.prefix
    (elsewhere / "Pulumi.yaml").write_text(yaml.safe_dump({**settings, "name": "elsewhere", "main": "."}))
    (elsewhere / "__main__.py").touch()

    def pulumi(*arguments: str, code: int = 0) -> str:
        done = subprocess.run(
            [pulumi_program(), *arguments, "--non-interactive"], cwd=elsewhere, env=project.environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == code, done.stdout
        assert token not in done.stdout
        return done.stdout

    pulumi("stack", "init", "elsewhere", "--secrets-provider=passphrase")
    service, of_version = f"{project.state}|chat", f"{project.state}|chat/{hash}"
    ids = {
        "Host": str(project.state), "Token": service, "Version": of_version, "Rollout": of_version,
        "Route": service,
    }  # fmt: skip
    for kind, id in ids.items():
        pulumi("import", f"inferform:index:{kind}", kind.lower(), id, "--yes", "--protect=false")
    assert "STATE|SERVICE/HASH" in pulumi("import", "inferform:index:Version", "bad", f"chat/{hash}", "--yes", code=1)

    resources = json.loads(pulumi("stack", "export"))["deployment"]["resources"]
    inputs = {each["type"]: each.get("inputs", {}) for each in resources}
    assert inputs["inferform:index:Version"]["template"]["engineArgs"]["text"] == "hello from one"
    assert inputs["inferform:index:Route"]["versions"] == {"main": {"hash": hash, "weight": 100}}
    pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes")
