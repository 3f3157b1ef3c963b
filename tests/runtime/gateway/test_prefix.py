"""Request targets, taken apart."""

from __future__ import annotations

import pytest

from runtime.gateway.prefix import Place, parse_target


@pytest.mark.parametrize(
    ("raw", "service", "place"),
    [
        ("/api/predict/demo", "demo", Place.ROOT),
        ("/api/predict/demo/", "demo", Place.ROOT),
        ("/api/predict/demo?x=1", "demo", Place.ROOT),
        ("/api/predict/demo/?x=/a", "demo", Place.ROOT),
        ("/api/predict/demo/v1/models?x=1", "demo", Place.BELOW),
        ("/api/predict/demo//", "demo", Place.BELOW),
        ("/api/predict/group.demo/sink", "group.demo", Place.BELOW),
        ("/api/predict/demo/%E4%BD%A0", "demo", Place.BELOW),
        ("/api/predict/demo2/-x", "demo2", Place.BELOW),
        ("/api/predict/de%6Do", "de%6Do", Place.ROOT),
        ("/api/predict/", "", Place.ELSEWHERE),
        ("/api/predict", "", Place.ELSEWHERE),
        ("/api/predict//demo", "", Place.ELSEWHERE),
        ("//api/predict/demo", "", Place.ELSEWHERE),
        ("/API/predict/demo", "", Place.ELSEWHERE),
        ("/", "", Place.ELSEWHERE),
        ("/-/metrics", "", Place.ELSEWHERE),
        ("/api/predict/demo/-/status", "demo", Place.INTERNAL),
        ("/api/predict/demo/-", "demo", Place.INTERNAL),
        ("/api/predict/demo//-/status", "demo", Place.INTERNAL),
        ("/api/predict/demo/%2D/status", "demo", Place.INTERNAL),
        ("/api/predict/demo/%2d/status", "demo", Place.INTERNAL),
        ("/api/predict/demo/%252D/status", "demo", Place.INTERNAL),
        ("/api/predict/demo/./-/status", "demo", Place.INTERNAL),
        ("/api/predict/demo/x/../-/status", "demo", Place.INTERNAL),
        ("/api/predict/demo/x/%2e%2e/-/status", "demo", Place.INTERNAL),
        ("/api/predict/demo/%2F-/status", "demo", Place.INTERNAL),
        ("/api/predict/demo/-;a=b/status", "demo", Place.INTERNAL),
        ("/api/predict/demo/x/-/status", "demo", Place.BELOW),
    ],
)
def test_a_target_names_a_service_by_whole_segments(raw: str, service: str, place: Place) -> None:
    target = parse_target(raw.encode())
    assert (target.service, target.place) == (service, place)
    assert target.origin == raw.encode()
    assert target.path == raw.partition("?")[0]


def test_a_target_in_absolute_form_loses_scheme_and_authority() -> None:
    assert parse_target(b"http://host:1/api/predict/demo/x?y").origin == b"/api/predict/demo/x?y"
    assert parse_target(b"HTTP://host").origin == b"/"


@pytest.mark.parametrize("raw", [b"*", b"host:80", b"ftp://host/x", b"/a#b"])
def test_a_target_that_is_neither_a_path_nor_an_http_url_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError, match="target"):
        parse_target(raw)
