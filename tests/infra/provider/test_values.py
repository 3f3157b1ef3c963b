"""The codec of Pulumi's wire."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from google.protobuf import struct_pb2
from hypothesis import given, settings
from hypothesis import strategies as st
from pulumi.runtime import rpc

from infra.provider.values import UNKNOWN, UNKNOWN_GUIDS, Secret, has_unknown, plain, read_map, read_value, write_map

KEY = rpc._special_sig_key


def struct(**values: Any) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    made.update(values)
    return made


@pytest.mark.parametrize("guid", sorted(UNKNOWN_GUIDS))
def test_each_of_the_five_unknowns_is_unknown(guid: str) -> None:
    assert read_map(struct(a=guid, b=[guid])) == {"a": UNKNOWN, "b": [UNKNOWN]}


def test_a_secret_is_read_as_one_and_given_back_as_one() -> None:
    sent = struct(token={KEY: rpc._special_secret_sig, "value": "t"})
    assert read_map(sent) == {"token": Secret("t")}
    assert write_map(read_map(sent)) == sent


def test_a_secret_never_shows_its_value() -> None:
    assert "hush" not in repr({"token": Secret("hush")})


FIELDS = {"value": "v", "secret": True, "dependencies": ["urn:x"]}


@pytest.mark.parametrize("given", [c for n in range(4) for c in itertools.combinations(FIELDS, n)], ids="+".join)
def test_an_output_value_may_miss_any_of_its_fields(given: tuple[str, ...]) -> None:
    sent = struct(a={KEY: rpc._special_output_value_sig, **{name: FIELDS[name] for name in given}})
    inner = "v" if "value" in given else UNKNOWN
    assert read_map(sent) == {"a": Secret(inner) if "secret" in given else inner}


def test_whole_numbers_are_ints_also_in_secrets() -> None:
    read = read_map(struct(a=3.0, b=0.5, c={KEY: rpc._special_secret_sig, "value": 8.0}, d=True))
    assert [type(plain(read[key])) for key in "abcd"] == [int, float, int, bool]


@pytest.mark.parametrize("kind", [rpc._special_asset_sig, rpc._special_archive_sig, rpc._special_resource_sig])
def test_assets_and_references_stay_as_they_are(kind: str) -> None:
    sent = struct(a={KEY: kind, "id": "x"})
    assert write_map(read_map(sent)) == sent


def test_what_the_wire_cannot_carry_is_an_error() -> None:
    with pytest.raises(TypeError, match="set"):
        write_map({"a": {1, 2}})


def test_unknowns_are_found_wherever_they_are() -> None:
    assert has_unknown({"a": [{"b": Secret(UNKNOWN)}]})
    assert not has_unknown({"a": [{"b": Secret("x")}], "c": ("d",)})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text().filter(lambda text: text not in UNKNOWN_GUIDS) | st.just(UNKNOWN),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=5).filter(lambda key: key != KEY), inner, max_size=3)
    | st.builds(Secret, inner),
    max_leaves=8,
)  # fmt: skip


@settings(deadline=None)
@given(json_values)
def test_what_is_written_is_read_again(value: Any) -> None:
    assert read_map(write_map({"a": value})) == {"a": value}


def test_nothing_is_null() -> None:
    assert read_value(struct_pb2.Value(null_value=struct_pb2.NULL_VALUE)) is None
