"""Ids that carry all that an import needs."""

from __future__ import annotations

import pytest

from infra.provider.identity import Identity, parse

HASHED = "STATE|SERVICE/HASH"


@pytest.mark.parametrize(
    ("form", "text", "identity"),
    [
        ("STATE", "/p/.inferform/dev", Identity("/p/.inferform/dev")),
        ("STATE|SERVICE", "/p/s|chat", Identity("/p/s", "chat")),
        (HASHED, "/p/s|chat/3f2a", Identity("/p/s", "chat", "3f2a")),
        (HASHED, "/odd|folder|chat/3f2a", Identity("/odd|folder", "chat", "3f2a")),
    ],
)
def test_an_id_says_where_the_thing_is(form: str, text: str, identity: Identity) -> None:
    assert parse(text, form) == identity
    assert str(identity) == text


@pytest.mark.parametrize(
    ("form", "text"),
    [("STATE", "s"), ("STATE|SERVICE", "/p/s"), ("STATE|SERVICE", "p|chat"), (HASHED, "/p|chat"), (HASHED, "/p|chat/")],
)
def test_a_bad_id_is_refused_with_an_example(form: str, text: str) -> None:
    with pytest.raises(ValueError, match="home/me") as raised:
        parse(text, form)
    assert repr(text) in str(raised.value)
