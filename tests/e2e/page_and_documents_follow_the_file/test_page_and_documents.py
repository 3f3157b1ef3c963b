"""`webui`, `knowledge` and method bladellm in a stack file: served as declared, changed without a restart."""

from __future__ import annotations

import json
import urllib.request

from tests.e2e.harness import Project, ask, scripted

QUESTION = "What is the capital of Canada?"


def sources(project: Project, token: str) -> list[str]:
    answer = ask(project.endpoint, "chat", token, QUESTION, langchain=True)
    return [source["passage"] for source in json.loads(answer.body)["sources"]]


def test_page_and_documents_follow_the_file_and_no_replica_restarts(project: Project) -> None:
    documents = project.folder / "docs"
    documents.mkdir()
    (documents / "canada.md").write_text("The capital of Canada is Ottawa.")
    project.write({"chat": scripted()})
    project.up()
    token, pids = project.token(), project.pids()

    project.write({"chat": scripted(webui=True, knowledge={"documents": "./docs"})})
    project.up()
    with urllib.request.urlopen(f"{project.endpoint}/api/predict/chat", timeout=10) as page:
        assert page.headers["Content-Type"].startswith("text/html")
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert sources(project, token) == ["The capital of Canada is Ottawa."]
    project.assert_no_changes()

    (documents / "canada.md").write_text("Canada's capital is Ottawa, on the Ottawa River.")
    assert set(project.changes().values()) == {"update"}
    project.up()
    # The settings reach a replica within a second or two; what it answers then is the new text alone.
    project.wait_until(
        lambda: sources(project, token) == ["Canada's capital is Ottawa, on the Ottawa River."], what="the new document"
    )
    assert project.pids() == pids


def test_method_bladellm_speaks_its_own_dialect(project: Project) -> None:
    project.write({"chat": scripted("one two", method="bladellm", webui=False)})
    project.up()
    request = urllib.request.Request(
        f"{project.endpoint}/api/predict/chat/v1/completions",
        json.dumps({"prompt": "hi", "stream": "true"}).encode(),
        {"Authorization": project.token()},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        events = answer.read().decode().split("\n\n")
    assert events[-2] == "data: [DONE]"
    assert json.loads(events[-3][6:])["usage"]["completion_tokens"] == 3
    assert ask(project.endpoint, "chat", project.token()).text == "one two"
