"""A model of a bucket, a claim, a Job that fills it; then the bucket goes away and replicas still start."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import boto3
import pytest
from moto.server import ThreadedMotoServer

from runtime.contract.cluster import PART, PART_VERSION
from runtime.contract.paths import cache_folder
from tests.cluster.harness import ClusterProject
from tests.e2e.harness import ask

MODEL = cache_folder() / "models" / "SmolLM2-135M-Instruct"
KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}


@pytest.fixture
def bucket(project: ClusterProject, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ThreadedMotoServer, str]]:
    """A store that pods reach, with the default model in `s3://models/smol`."""
    moto = ThreadedMotoServer(ip_address=project.cluster.layout.desk, port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": f"http://{host}:{port}"}.items():
        monkeypatch.setenv(name, value)
        project.environment[name] = value
    made = boto3.resource("s3").create_bucket(Bucket="models")
    for file in MODEL.iterdir():
        made.put_object(Key=f"smol/{file.name}", Body=file.read_bytes())
    yield moto, f"http://{host}:{port}"
    moto.stop()


def lock(project: ClusterProject) -> None:
    """`inferform lock`: what the address means now."""
    command = [sys.executable, "-m", "infra.cli", "lock", "--stack", "test"]
    subprocess.run(command, cwd=project.folder, env=project.environment, check=True, timeout=120)


def test_replicas_start_from_the_volume_when_the_bucket_is_gone(
    project: ClusterProject, bucket: tuple[ThreadedMotoServer, str]
) -> None:
    moto, url = bucket
    project.changes_of_target |= {"modelCache": {"sizeGiB": 2}, "gateway": {"replicas": 1}}
    service = {"model": "s3://models/smol", "context": 512, "env": {**KEYS, "AWS_ENDPOINT_URL": url}}
    project.write({"chat": {**service, "resources": {"cpus": 0.1, "memoryGiB": 2}}})
    lock(project)
    project.up()
    [job] = project.items("jobs")
    project.wait_until(lambda: project.items("jobs")[0]["status"].get("succeeded") == 1, 120, "the Job has fetched")
    [claim] = project.items("persistentvolumeclaims")
    assert claim["status"]["phase"] == "Bound"
    answer = ask(project.endpoint, "chat", project.token(), "What is the capital of Canada?", do_sample=False)
    assert "Ottawa" in answer.text
    project.assert_no_changes()

    moto.stop()
    [before] = project.ready({PART: PART_VERSION})
    project.kubectl("delete", "pod", before)
    project.wait_until(lambda: project.ready({PART: PART_VERSION}) - {before}, 120, "a replica without the bucket")
    assert ask(project.endpoint, "chat", project.token(), do_sample=False).status == 200
    assert project.items("jobs")[0]["metadata"]["uid"] == job["metadata"]["uid"]
