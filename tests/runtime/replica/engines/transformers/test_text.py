"""Incremental text on a byte-level decoder: every split of every character is a token border."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from runtime.replica.engines.transformers.text import Detokenizer, TextStream


def decode(ids: Sequence[int]) -> str:
    return bytes(ids).decode("utf-8", errors="replace")


TEXT = "héllo 👩‍🚀 日本語!"


def test_no_character_is_split_and_all_text_arrives() -> None:
    detokenizer = Detokenizer(decode)
    pieces = [detokenizer.push(byte) for byte in TEXT.encode()]
    assert "".join(pieces) == TEXT
    assert not any("\ufffd" in piece for piece in pieces)


def test_an_incomplete_last_character_is_dropped() -> None:
    stream = TextStream(decode)
    text = "".join(stream.push(byte) for byte in TEXT.encode()[:-4]) + stream.finish()  # "語" lacks its last byte
    assert text == "héllo 👩‍🚀 日本"


def test_only_a_window_of_tokens_is_decoded_however_long_the_answer() -> None:
    sizes: list[int] = []

    def counting(ids: Sequence[int]) -> str:
        sizes.append(len(ids))
        return decode(ids)

    detokenizer = Detokenizer(counting)
    for byte in b"word " * 200:
        detokenizer.push(byte)
    assert max(sizes) <= 2


def test_spaces_that_depend_on_the_neighbour_are_kept() -> None:
    words = {1: "Hello", 2: "big", 3: "world"}

    def joined(ids: Sequence[int]) -> str:  # like SentencePiece: no space before the first word
        return " ".join(words[one] for one in ids)

    detokenizer = Detokenizer(joined)
    assert [detokenizer.push(token) for token in (1, 2, 3)] == ["Hello", " big", " world"]
    continued = Detokenizer(joined, context=(1,))
    assert continued.push(2) == " big"


@pytest.mark.parametrize("stop", ["lo w", "👩‍🚀", "o"])
def test_a_stop_text_over_token_borders_ends_the_text_before_it(stop: str) -> None:
    whole = "hello world 👩‍🚀!"
    stream = TextStream(decode, (stop,))
    out = ""
    for byte in whole.encode():
        out += stream.push(byte)
        if stream.stopped:
            break
    assert stream.stopped
    assert out == whole[: whole.index(stop)]


def test_what_only_began_like_a_stop_text_arrives_in_the_end() -> None:
    stream = TextStream(decode, ("lo there",))
    text = "".join(stream.push(byte) for byte in b"hello th")
    assert text == "hel"
    assert text + stream.finish() == "hello th"
