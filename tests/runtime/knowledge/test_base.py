"""A knowledge base: two collections, search, several processes, a kill, the real embedding model."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from runtime.knowledge.base import Declared, KnowledgeBase, context_of
from runtime.knowledge.embedding import MiniLm
from runtime.knowledge.errors import DocumentError
from runtime.knowledge.splitter import PASSAGE_CHARACTERS, split
from tests.runtime.knowledge.embedder import BagOfWords

CANADA = b"The capital of Canada is Ottawa. It lies on the Ottawa River."
BREAD = b"Knead the dough for ten minutes and let it rise in a warm place."


async def test_a_question_finds_the_passage_that_answers_it(tmp_path: Path) -> None:
    base = KnowledgeBase(tmp_path, BagOfWords())
    await base.upload("canada.txt", CANADA)
    await base.upload("bread.md", BREAD)
    (best, *_) = await base.search("What is the capital of Canada?")
    assert (best.document, best.passage) == ("canada.txt", CANADA.decode())
    assert 0.2 <= best.score <= 1.0001
    assert CANADA.decode() in context_of([best])
    assert await base.search("zzz qqq") == []
    base.close()


async def test_an_empty_base_answers_nothing_and_makes_no_file(tmp_path: Path) -> None:
    base = KnowledgeBase(tmp_path / "knowledge", BagOfWords())
    assert await base.search("anything") == []
    await base.follow(None, None)
    assert not (tmp_path / "knowledge").exists()


async def test_the_two_collections_never_overwrite_each_other(tmp_path: Path) -> None:
    declared = tmp_path / "docs"
    declared.mkdir()
    (declared / "canada.txt").write_bytes(CANADA)
    (declared / "ignored.bin").write_bytes(b"x")
    base = KnowledgeBase(tmp_path / "data", BagOfWords())
    await base.upload("canada.txt", BREAD)
    await base.follow(declared, "first")
    assert [(one.name, one.origin) for one in await base.documents()] == [
        ("canada.txt", "declared"), ("canada.txt", "uploaded"),
    ]  # fmt: skip
    assert await base.remove("canada.txt")
    with pytest.raises(Declared):
        await base.remove("canada.txt")
    assert not await base.remove("nothing.txt")
    base.close()


async def test_declared_documents_follow_their_folder(tmp_path: Path) -> None:
    declared = tmp_path / "docs"
    (declared / "sub").mkdir(parents=True)
    (declared / "a.txt").write_bytes(CANADA)
    (declared / "sub" / "b.md").write_bytes(BREAD)
    (declared / "broken.docx").write_bytes(b"x")
    base = KnowledgeBase(tmp_path / "data", BagOfWords())
    said: list[str] = []
    await base.follow(declared, 1, said.append)
    assert [one.name for one in await base.documents()] == ["a.txt", "sub/b.md"]
    assert said[-1] == "document 3 of 3"
    (declared / "a.txt").write_bytes(b"Ottawa changed.")
    (declared / "sub" / "b.md").unlink()
    await base.follow(declared, 1)
    assert len(await base.documents()) == 2  # the same stamp: nobody says that anything changed
    await base.follow(declared, 2)
    assert [(one.name, one.bytes) for one in await base.documents()] == [("a.txt", 15)]
    await base.follow(None, None)
    assert await base.documents() == []
    base.close()


async def test_an_upload_of_the_same_name_replaces_the_old_one(tmp_path: Path) -> None:
    base = KnowledgeBase(tmp_path, BagOfWords())
    await base.upload("a.txt", CANADA)
    await base.search("capital of Canada")
    await base.upload("a.txt", BREAD)
    assert len(await base.documents()) == 1
    assert await base.search("capital of Canada Ottawa River") == []
    with pytest.raises(DocumentError):
        await base.upload("a.docx", b"broken")
    assert len(await base.documents()) == 1
    base.close()


async def test_two_replicas_share_one_base(tmp_path: Path) -> None:
    one, other = KnowledgeBase(tmp_path, BagOfWords()), KnowledgeBase(tmp_path, BagOfWords())
    await one.upload("a.txt", BREAD)
    assert await other.search("capital Canada Ottawa") == []
    await one.upload("b.txt", CANADA)
    assert (await other.search("capital of Canada"))[0].document == "b.txt"
    await asyncio.gather(*(base.upload(f"{name}.txt", CANADA) for base, name in ((one, "c"), (other, "d"))))
    assert len(await one.documents()) == 4
    one.close()
    other.close()


KILLED = """
import asyncio, sys
from pathlib import Path
from runtime.knowledge.base import KnowledgeBase
from tests.runtime.knowledge.embedder import BagOfWords

async def main():
    base = KnowledgeBase(Path(sys.argv[1]), BagOfWords())
    for number in range(1000):
        await base.upload(f"{number}.txt", b"The capital of Canada is Ottawa. " * 200)
        print(number, flush=True)

asyncio.run(main())
"""


async def test_what_was_answered_survives_a_kill(tmp_path: Path) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, str(tmp_path), stdout=asyncio.subprocess.PIPE, start_new_session=True
    )
    assert child.stdout is not None
    for _ in range(3):
        last = int(await child.stdout.readline())
    os.killpg(child.pid, signal.SIGKILL)  # its own session: the child and the reader it started
    rest = (await child.communicate())[0].split()
    last = int(rest[-1]) if rest else last
    base = KnowledgeBase(tmp_path, BagOfWords())
    names = {one.name for one in await base.documents()}
    assert names >= {f"{number}.txt" for number in range(last + 1)}
    assert len({one.passages for one in await base.documents()}) == 1, "no document is there in part"
    assert (await base.search("the capital of Canada"))[0].score > 0.5
    base.close()


def test_passages_are_bounded_and_lose_nothing() -> None:
    text = "\n\n".join(f"# Part {number}\n\n" + "Some sentence about it. " * 60 for number in range(5))
    for name in ("a.md", "a.txt"):
        passages = split(name, text)
        assert all(0 < len(passage) <= PASSAGE_CHARACTERS for passage in passages)
        assert all(any(f"Part {number}" in passage for passage in passages) for number in range(5))


@pytest.mark.model
async def test_the_real_embedding_model_ranks_by_meaning(tmp_path: Path) -> None:
    base = KnowledgeBase(tmp_path, MiniLm())
    await base.upload("canada.txt", CANADA)
    await base.upload("bread.txt", BREAD)
    assert (await base.search("Which city is Canada governed from?"))[0].document == "canada.txt"
    assert (await base.search("How do I bake a loaf?"))[0].document == "bread.txt"
    assert await base.search("quarterly tax returns of shipping companies") == []
    base.close()
