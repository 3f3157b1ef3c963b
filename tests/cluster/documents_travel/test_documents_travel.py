"""A folder of documents beside the stack file answers `langchain: true` in pods, as it does on one machine."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any

import pytest

from runtime.contract.cluster import PART, PART_VERSION
from tests.cluster.harness import ClusterProject, small
from tests.e2e.harness import ask

QUESTION = "What is the capital of Canada?"
BEFORE, AFTER = "The capital of Canada is Ottawa.", "Canada's capital is Ottawa, on the Ottawa River."
KUBELET_SECONDS = 120
"""A poked kubelet renews a pod's files at once; one that missed the poke does within its sync period and cache."""


def sources(project: ClusterProject, token: str) -> list[dict[str, Any]]:
    """What an answer names as its sources; none while the documents are on their way."""
    answer = ask(project.endpoint, "chat", token, QUESTION, langchain=True)
    found: list[dict[str, Any]] = json.loads(answer.body).get("sources", []) if answer.status == 200 else []
    return found


def test_documents_reach_the_pods_and_follow_their_files(project: ClusterProject) -> None:
    documents = project.folder / "docs"
    documents.mkdir()
    (documents / "canada.md").write_text(BEFORE)
    (documents / "peru.md").write_text("Ceviche is a dish of raw fish and lime.")
    # The embedding model needs more memory than the scripted engine by itself.
    project.write({"chat": small(knowledge={"documents": "./docs"}, resources={"memoryGiB": 1.5})})
    project.up()
    token = project.token()
    # A pod learns of documents with its route, after it is ready: the kubelet brings both a moment later.
    project.wait_until(lambda: bool(sources(project, token)), KUBELET_SECONDS, what="the documents have arrived")
    best = sources(project, token)[0]
    assert best["passage"] == BEFORE
    assert "canada.md" in json.dumps(best), "the source names its document"
    project.assert_no_changes()
    kept = {pod["metadata"]["uid"] for pod in project.pods({PART: PART_VERSION})}

    (documents / "canada.md").write_text(AFTER)
    assert set(project.changes().values()) == {"update"}
    project.up()
    project.wait_until(
        lambda: [each["passage"] for each in sources(project, token)][:1] == [AFTER],
        KUBELET_SECONDS,
        what="the new document",
    )
    assert {pod["metadata"]["uid"] for pod in project.pods({PART: PART_VERSION})} == kept, "nothing restarted"

    upload = urllib.request.Request(
        f"{project.endpoint}/api/predict/chat/uploadfile",
        data=b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nhi\r\n--x--\r\n',
        headers={"Authorization": token, "Content-Type": "multipart/form-data; boundary=x"},
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(upload, timeout=30)
    assert refused.value.code == 501, "pods share no volume: what one takes, the others would not know"
    assert b"knowledge.documents" in refused.value.read()
