"""AWS's price list through boto3, against a small server of its shape."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from catalog import OWN_FILE, load_for
from infra.prices import PricesFailed, fetch, price_of, write

TODAY = date(2026, 11, 23)


def product(usd: str, unit: str = "Hrs") -> str:
    dimension = {"unit": unit, "pricePerUnit": {"USD": usd}}
    return json.dumps({"product": {}, "terms": {"OnDemand": {"A.B": {"priceDimensions": {"A.B.C": dimension}}}}})


class PriceList(BaseHTTPRequestHandler):
    """Answers GetProducts in two pages; `asked` holds the filters of each call."""

    asked: ClassVar[list[dict[str, str]]] = []
    refuse = False

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.headers["X-Amz-Target"] == "AWSPriceListService.GetProducts"
        self.asked.append({each["Field"]: each["Value"] for each in body["Filters"]})
        if self.refuse:
            self.answer(400, {"__type": "AccessDeniedException", "message": "not allowed"})
        elif "NextToken" not in body:
            self.answer(200, {"FormatVersion": "aws_v1", "PriceList": [product("0.0")], "NextToken": "more"})
        else:
            known = {"g5.xlarge": "1.1060000000", "g6.xlarge": "0.9"}
            name = next(each["Value"] for each in body["Filters"] if each["Field"] == "instanceType")
            self.answer(200, {"FormatVersion": "aws_v1", "PriceList": [product(known[name])] if name in known else []})

    def answer(self, status: int, data: dict[str, Any]) -> None:
        body = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.1")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """No lines in the test's output."""


@pytest.fixture
def price_list(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[PriceList]]:
    class Own(PriceList):
        asked: ClassVar[list[dict[str, str]]] = []

    server = ThreadingHTTPServer(("127.0.0.1", 0), Own)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_PRICING", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    yield Own
    server.shutdown()
    server.server_close()
    thread.join()


def test_prices_are_asked_for_linux_on_demand_in_a_region(price_list: type[PriceList]) -> None:
    said: list[str] = []
    entries = fetch(["g5.xlarge", "p9.huge"], "eu-west-1", today=TODAY, say=said.append)
    [price] = entries["g5.xlarge"]["prices"]
    assert (price["amount"], price["region"], price["date"]) == (1.106, "eu-west-1", "2026-11-23")
    assert "p9.huge" not in entries
    assert said[-1] == "p9.huge: no on-demand price in eu-west-1"
    assert price_list.asked[0]["regionCode"] == "eu-west-1"
    assert price_list.asked[0]["operatingSystem"] == "Linux"


def test_a_refusal_is_said_in_awss_own_words(price_list: type[PriceList]) -> None:
    price_list.refuse = True
    with pytest.raises(PricesFailed, match="not allowed"):
        fetch(["g5.xlarge"], "us-east-1", today=TODAY)


def test_a_price_is_hourly_and_above_zero() -> None:
    assert price_of([product("3.0", unit="Quantity"), product("0"), product("0.5")]) == 0.5
    assert price_of([]) is None


def test_prices_go_into_the_projects_own_file_and_change_nothing_else(
    tmp_path: Path, price_list: type[PriceList]
) -> None:
    (tmp_path / OWN_FILE).write_text(
        "instances:\n  rack: {cloud: own, family: rack, vcpus: 8, memoryGib: 64,\n"
        "    verified: documented, source: our data sheet, date: 2026-11-01}\n"
    )
    write(tmp_path, fetch(["g5.xlarge", "g6.xlarge"], "us-east-1", today=TODAY, say=lambda line: None))
    catalog = load_for(tmp_path)
    assert catalog.instances["g5.xlarge"].prices[0].amount == 1.106
    assert (catalog.instances["g5.xlarge"].vcpus, catalog.instances["rack"].vcpus) == (4, 8)
    assert catalog.instances["g5.2xlarge"].prices[0].amount == 1.212
