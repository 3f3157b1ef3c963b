"""`inferform plan`, `schema`, `init` and `models`."""

from __future__ import annotations

import json
import re
from pathlib import Path

from typer.testing import CliRunner

from infra.cli.app import app
from infra.cli.init import Answers, stack_file
from infra.stackfile import load_file

run = CliRunner().invoke


def test_a_clean_plan_exits_with_0(project: Path) -> None:
    result = run(app, ["plan"])
    assert result.exit_code == 0, result.output
    assert "SmolLM2-135M-Instruct" in result.output


def test_the_plan_for_machines_is_json(project: Path) -> None:
    data = json.loads(run(app, ["plan", "--output", "json"]).output)
    assert data["ok"] is True
    assert [service["name"] for service in data["services"]] == ["chat", "other"]


def test_errors_of_the_file_are_findings_with_lines_and_exit_with_1(project: Path) -> None:
    (project / "bad.yaml").write_text("config:\n  inferform:services:\n    chat:\n      modle: x\n      model: y\n")
    result = run(app, ["plan", "bad.yaml"])
    assert result.exit_code == 1
    assert "error services.chat.modle [stack-file]" in result.output
    assert "at bad.yaml:4" in result.output
    data = json.loads(run(app, ["plan", "bad.yaml", "-o", "json"]).output)
    assert data["ok"] is False
    assert data["findings"][0]["fix"] == "did you mean model?"


def test_warnings_exit_with_3_under_strict_alone(project: Path) -> None:
    (project / "Pulumi.local.yaml").write_text(
        "config:\n  inferform:quotas: {nlp: {gpus: 1}}\n"
        "  inferform:services: {chat: {model: SmolLM2-135M-Instruct, resources: {quota: nlp}}}\n"
    )
    warned = "warning" in run(app, ["plan"]).output
    assert run(app, ["plan"]).exit_code == 0
    assert run(app, ["plan", "--strict"]).exit_code == (3 if warned else 0)


def test_a_file_that_is_not_there_is_wrong_usage(project: Path) -> None:
    result = run(app, ["plan", "nothing.yaml"])
    assert result.exit_code == 2
    assert "there is no file nothing.yaml" in result.stderr


def test_schema_prints_json() -> None:
    assert json.loads(run(app, ["schema"]).output)["title"] == "Inferform stack file"


def test_init_by_options_writes_a_file_that_loads(project: Path) -> None:
    options = ["--model", "SmolLM2-135M-Instruct", "--method", "standard", "--max", "3", "--port", "9000", "--yes"]
    result = run(app, ["init", "--stack", "demo", *options])
    assert result.exit_code == 0, result.output
    stack = load_file(project / "Pulumi.demo.yaml")
    assert stack.services["chat"].versions["main"].replicas.max == 3
    assert "# fixes the protocols" in (project / "Pulumi.demo.yaml").read_text()


def test_init_asks_for_what_no_option_says_and_asks_again_when_an_answer_is_wrong(project: Path) -> None:
    answers = "SmolLM2-135M\nSmolLM2-135M-Instruct\nstandard\npublic\n1\n0\n2\n"
    result = run(app, ["init", "--stack", "demo", "--service", "talk"], input=answers)
    assert result.exit_code == 0, result.output
    assert "did you mean SmolLM2-135M-Instruct?" in result.stderr
    assert "Methods that serve it: standard" in result.stdout
    replicas = load_file(project / "Pulumi.demo.yaml").services["talk"].versions["main"].replicas
    assert (replicas.min, replicas.max) == (1, 2)


def test_init_overwrites_nothing(project: Path) -> None:
    before = (project / "Pulumi.local.yaml").read_text()
    result = run(app, ["init", "--stack", "local", "--yes"])
    assert result.exit_code == 1
    assert "overwrites nothing" in result.stderr
    assert (project / "Pulumi.local.yaml").read_text() == before


def test_init_with_a_bad_option_is_wrong_usage_and_writes_nothing(project: Path) -> None:
    for options in (
        ["--model", "nope"],
        ["--model", "SmolLM2-135M-Instruct", "--method", "process"],
        ["--service", "A"],
    ):
        assert run(app, ["init", "--stack", "demo", "--yes", *options]).exit_code == 2
    assert not (project / "Pulumi.demo.yaml").exists()


def test_instance_types_are_written_in_order() -> None:
    answers = Answers(model="a", method="vllm", resources="ecs.a, ecs.b", minimum=1, maximum=1)
    assert "resources: {instanceTypes: [ecs.a, ecs.b]}" in stack_file(answers)


def test_models_are_listed_searched_and_shown() -> None:
    assert "SmolLM2-135M-Instruct" in run(app, ["models"]).output
    assert "SmolLM2" not in run(app, ["models", "--search", "qwen"]).output
    assert (
        json.loads(run(app, ["models", "--search", "smollm2-135m", "-o", "json"]).output)[0]["parameters"] == 134515008
    )
    assert "apache-2.0" in run(app, ["models", "show", "smollm2-135m-instruct"]).output
    missing = run(app, ["models", "show", "SmolLM2-135M"])
    assert missing.exit_code == 1
    assert "did you mean SmolLM2-135M-Instruct?" in missing.stderr


def test_models_that_fit_a_gpu_say_how_many_it_takes() -> None:
    output = run(app, ["models", "--fits", "a10", "--search", "Qwen2.5-7B-Instruct"]).output
    assert "1 x a10" in next(line for line in output.splitlines() if line.startswith("Qwen2.5-7B-Instruct "))
    more = run(app, ["models", "--fits", "t4", "--search", "Qwen2.5-7B-Instruct"]).output
    assert "2 x t4" in next(line for line in more.splitlines() if line.startswith("Qwen2.5-7B-Instruct "))
    assert "tesla-v100-16 or tesla-v100-32" in run(app, ["models", "--fits", "v100"]).stderr
    assert "known: " in run(app, ["models", "--fits", "abacus"]).stderr


def test_manifests_are_written_without_a_cluster(project: Path) -> None:
    image = f"registry.example/inferform@sha256:{'a' * 64}"
    (project / "Pulumi.local.yaml").write_text(
        f"config:\n  inferform:target: {{kind: kubernetes, image: '{image}'}}\n"
        "  inferform:services: {chat: {engine: scripted}}\n"
    )
    assert run(app, ["render"]).exit_code != 0, "where to?"
    result = run(app, ["render", "out"])
    assert result.exit_code == 0, result.output
    names = sorted(file.name for file in (project / "out").iterdir())
    assert names[0] == "000-namespace-inferform.yaml"
    assert any(re.match(r"\d+-deployment-chat-[0-9a-f]{10}\.yaml", name) for name in names)
    assert "stack: demo.local" in (project / "out" / names[1]).read_text()


def test_a_stack_of_this_machine_has_no_manifests(project: Path) -> None:
    result = run(app, ["render", "out"])
    assert result.exit_code != 0
    assert "only kubernetes has manifests" in result.output
