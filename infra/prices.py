"""Today's on-demand prices of AWS, for the project's own catalog file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import boto3
import yaml
from botocore.exceptions import BotoCoreError, ClientError

from catalog import OWN_FILE

ENDPOINT_REGION = "us-east-1"
"""The price list is served there, whatever region is asked about."""
Products = Callable[[str, str], Iterable[str]]
"""(instance type, region) -> products as JSON text."""


class PricesFailed(RuntimeError):
    """AWS did not answer; the text is its own reason."""


def aws_products(instance: str, region: str) -> Iterator[str]:
    """Linux on-demand products of one type, as the price list API words them. Raises PricesFailed."""
    wanted = {
        "instanceType": instance,
        "regionCode": region,
        "operatingSystem": "Linux",
        "tenancy": "Shared",
        "preInstalledSw": "NA",
        "capacitystatus": "Used",
    }
    filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in wanted.items()]
    try:
        client = boto3.client("pricing", region_name=ENDPOINT_REGION)
        for page in client.get_paginator("get_products").paginate(ServiceCode="AmazonEC2", Filters=filters):
            yield from page["PriceList"]
    except (BotoCoreError, ClientError) as bad:
        raise PricesFailed(f"AWS's price list for {instance} in {region}: {bad}") from bad


def price_of(products: Iterable[str]) -> float | None:
    """US dollars per hour; None when no product has an hourly on-demand price."""
    for text in products:
        terms = json.loads(text).get("terms", {}).get("OnDemand", {})
        for term in terms.values():
            for dimension in term.get("priceDimensions", {}).values():
                amount = float(dimension.get("pricePerUnit", {}).get("USD", 0))
                if dimension.get("unit") == "Hrs" and amount > 0:
                    return amount
    return None


def fetch(
    types: Iterable[str],
    region: str,
    *,
    today: date,
    products: Products = aws_products,
    say: Callable[[str], None] = print,
) -> dict[str, dict[str, Any]]:
    """Prices of these types as catalog entries; a type without one is said and left out."""
    entries: dict[str, dict[str, Any]] = {}
    for name in types:
        amount = price_of(products(name, region))
        if amount is None:
            say(f"{name}: no on-demand price in {region}")
            continue
        say(f"{name}: {amount:g} USD/h")
        price = {
            "amount": amount,
            "currency": "USD",
            "region": region,
            "verified": "documented",
            "source": "AWS price list API, Linux, on demand",
            "date": today.isoformat(),
        }
        entries[name] = {"prices": [price]}
    return entries


def write(folder: Path, entries: Mapping[str, Mapping[str, Any]]) -> Path:
    """Put prices into the project's own catalog file; what else stands there stays."""
    path = folder / OWN_FILE
    data = (yaml.safe_load(path.read_text()) if path.is_file() else None) or {}
    instances = data.setdefault("instances", {})
    for name, entry in entries.items():
        instances[name] = {**instances.get(name, {}), **entry}
    path.write_text(yaml.safe_dump(data, sort_keys=False, allow_unicode=True))
    return path
