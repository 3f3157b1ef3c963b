"""`s3://bucket/prefix`: any S3 service (AWS_ENDPOINT_URL), by ranged reads in parallel.

A model's digest is its manifest's: a hash over name, size and ETag of every object below the prefix. Every ranged read
names the ETag it expects, so an object that changes meanwhile fails the download and is never mixed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from runtime.replica.sources.reference import Source, SourceError
from runtime.replica.sources.remote import Manifest, MegabytesDone, Remote, Say
from runtime.replica.sources.s3_object import PART_BYTES, S3Object, download_objects


class S3Prefix(Remote):
    """The objects below a prefix."""

    def __init__(self, source: Source, part_bytes: int = PART_BYTES, workers: int = 8) -> None:
        self._bucket, _, prefix = source.place.partition("/")
        self._prefix = f"{prefix}/" if prefix else ""
        self._text = f"s3://{source.place}"
        self._part_bytes, self._workers = part_bytes, workers
        self._client = _client(workers)
        self._objects: dict[str, S3Object] = {}

    def manifest(self) -> Manifest:
        with self._plainly():
            pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=self._prefix)
            entries = [entry for page in pages for entry in page.get("Contents", ())]
        found = {entry["Key"][len(self._prefix) :]: entry for entry in entries if not entry["Key"].endswith("/")}
        if not found:
            raise SourceError(f"{self._text}: there is no object below this prefix")
        if unsafe := [name for name in found if name.startswith("/") or ".." in name.split("/")]:
            raise SourceError(f"{self._text}: the object name {unsafe[0]!r} would leave the model's folder")
        self._objects = {
            name: S3Object(self._bucket, entry["Key"], name, entry["Size"], entry["ETag"].strip('"'))
            for name, entry in found.items()
        }
        return Manifest(manifest_digest(self._objects.values()), {n: one.size for n, one in self._objects.items()})

    def read(self, name: str) -> bytes:
        with self._plainly():
            answer = self._client.get_object(Bucket=self._bucket, Key=self._prefix + name)
            return bytes(answer["Body"].read())

    def download(self, manifest: Manifest, names: Sequence[str], folder: Path, say: Say) -> None:
        objects = [self._objects[name] for name in names]
        done = MegabytesDone(sum(one.size for one in objects), say)
        with self._plainly():
            download_objects(self._client, objects, folder, done, self._part_bytes, self._workers)

    @contextmanager
    def _plainly(self) -> Iterator[None]:
        try:
            yield
        except (BotoCoreError, ClientError, OSError) as error:
            raise SourceError(f"{self._text}: {' '.join(str(error).split())}") from error


def manifest_digest(objects: Any) -> str:
    """SHA-256 over the sorted lines `name size etag`."""
    lines = sorted(f"{one.name}\t{one.size}\t{one.etag}\n" for one in objects)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _client(workers: int) -> Any:
    config = Config(retries={"mode": "standard", "max_attempts": 5}, max_pool_connections=workers)
    session = boto3.session.Session()
    if session.get_credentials() is None:
        config = config.merge(Config(signature_version=UNSIGNED))  # a public bucket
    region = session.region_name or "us-east-1"
    return session.client("s3", config=config, region_name=region)
