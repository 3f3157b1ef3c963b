"""Cuts a document's text into passages that an embedding can describe and a prompt can hold."""

from __future__ import annotations

from pathlib import PurePath

from langchain_text_splitters import Language, RecursiveCharacterTextSplitter

from runtime.knowledge.errors import DocumentError

PASSAGE_CHARACTERS = 800
"""About 200 tokens of English: under the 256 that the embedding model reads."""
OVERLAP_CHARACTERS = 120
MAX_PASSAGES = 20_000


def split(name: str, text: str) -> list[str]:
    """Passages in order, cut at headings, paragraphs, sentences, words, whichever comes first. Raises DocumentError."""
    if PurePath(name).suffix.lower() == ".md":
        separators = RecursiveCharacterTextSplitter.get_separators_for_language(Language.MARKDOWN)
    else:
        separators = ["\n\n", "\n", "。", ". ", "! ", "? ", " ", ""]
    splitter = RecursiveCharacterTextSplitter(
        chunk_size=PASSAGE_CHARACTERS, chunk_overlap=OVERLAP_CHARACTERS, separators=separators, keep_separator=True
    )
    passages = [passage for passage in splitter.split_text(text) if passage.strip()]
    if len(passages) > MAX_PASSAGES:
        raise DocumentError(f"{name} has {len(passages)} passages; at most {MAX_PASSAGES} are taken")
    return passages
