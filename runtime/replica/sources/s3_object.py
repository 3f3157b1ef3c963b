"""Objects to files: parts fetched in parallel, remembered as they land, so that a killed download goes on."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import ReadTimeoutError, ResponseStreamingError
from urllib3.exceptions import HTTPError

from runtime.replica.sources.reference import SourceError
from runtime.replica.sources.remote import MegabytesDone

PART_BYTES = 8 << 20
_READ_BYTES = 1 << 20  # held in memory by each worker at a time
_TRIES = 4  # of one part whose stream broke; refused requests are retried by the client itself
_STATE = ".parts"


@dataclass(frozen=True, slots=True)
class S3Object:
    """One object; `name` is the file's name inside the model."""

    bucket: str
    key: str
    name: str
    size: int
    etag: str


def download_objects(
    client: Any, objects: Sequence[S3Object], folder: Path, done: MegabytesDone, part_bytes: int, workers: int
) -> None:
    """Fetch objects into `folder`. What an interrupted call left is kept when the object's ETag is still the same."""
    (folder / _STATE).mkdir(exist_ok=True)
    files = [_PartFile(one, folder, part_bytes) for one in objects]
    with ThreadPoolExecutor(workers, thread_name_prefix="s3") as pool:
        done.add(sum(file.bytes_landed() for file in files))
        jobs = [pool.submit(file.fetch, client, index, done) for file in files for index in file.missing()]
        try:
            for job in jobs:
                job.result()
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    for file in files:
        file.finish(client)
    shutil.rmtree(folder / _STATE)


class _PartFile:
    """A file of known size whose parts land in any order. `.parts/<hash>` lists the parts that are on disk."""

    def __init__(self, source: S3Object, folder: Path, part_bytes: int) -> None:
        self._source, self._part_bytes = source, part_bytes
        self._path = folder / source.name
        state = hashlib.sha256(f"{source.name}\n{source.etag}\n{source.size}\n{part_bytes}".encode()).hexdigest()[:24]
        self._journal = folder / _STATE / state
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._landed = self._read_journal()
        if not self._landed:
            with self._path.open("wb") as file:
                file.truncate(source.size)

    def _read_journal(self) -> set[int]:
        if not self._journal.exists() or not self._path.exists() or self._path.stat().st_size != self._source.size:
            self._journal.unlink(missing_ok=True)
            return set()
        text = self._journal.read_text()
        return {int(line) for line in text[: text.rfind("\n") + 1].split()}  # a last line without its end is unsure

    def bytes_landed(self) -> int:
        """Bytes that an earlier call fetched."""
        return sum(self._bounds(index)[1] - self._bounds(index)[0] for index in self._landed)

    def missing(self) -> list[int]:
        """Parts still to fetch, by number."""
        count = -(-self._source.size // self._part_bytes)
        return [index for index in range(count) if index not in self._landed]

    def _bounds(self, index: int) -> tuple[int, int]:
        start = index * self._part_bytes
        return start, min(start + self._part_bytes, self._source.size)

    def fetch(self, client: Any, index: int, done: MegabytesDone) -> None:
        """One part, streamed to its place."""
        start, end = self._bounds(index)
        for left in reversed(range(_TRIES)):
            at = start
            try:
                at = self._stream(client, start, end, done)
                break
            except (HTTPError, ReadTimeoutError, ResponseStreamingError, ConnectionError) as error:
                if left == 0:
                    raise SourceError(f"s3://{self._source.bucket}/{self._source.key}: {error}") from error
        if at != end:
            raise SourceError(f"s3://{self._source.bucket}/{self._source.key}: an answer ended {end - at} bytes early")
        with self._journal.open("a") as journal:
            journal.write(f"{index}\n")

    def _stream(self, client: Any, start: int, end: int, done: MegabytesDone) -> int:
        answer = client.get_object(
            Bucket=self._source.bucket,
            Key=self._source.key,
            Range=f"bytes={start}-{end - 1}",
            IfMatch=self._source.etag,
        )
        at = start
        with self._path.open("r+b", buffering=0) as file, answer["Body"] as body:
            file.seek(start)
            try:
                while at < end and (block := body.read(min(_READ_BYTES, end - at))):
                    file.write(block)
                    at += len(block)
                    done.add(len(block))
            except BaseException:
                done.add(start - at)
                raise
        return at

    def finish(self, client: Any) -> None:
        """Compare the whole file with the ETag where that is a checksum; a mismatch deletes the file."""
        expected = self._source.etag
        plain = re.fullmatch(r"[0-9a-f]{32}", expected)
        parts = re.fullmatch(r"[0-9a-f]{32}-(\d+)", expected)
        found = expected
        if (plain or parts) and not self._is_encrypted(client):
            part_size = self._uploaded_part_bytes(client) if parts else 0
            found = _etag(self._path, part_size) if plain or part_size else expected
        self._journal.unlink(missing_ok=True)
        if found != expected:
            self._path.unlink()
            raise SourceError(
                f"s3://{self._source.bucket}/{self._source.key}: the content's checksum is {found}, not {expected}"
            )

    def _is_encrypted(self, client: Any) -> bool:
        """With SSE-KMS and SSE-C an ETag is no checksum of the content."""
        head = client.head_object(Bucket=self._source.bucket, Key=self._source.key)
        return "kms" in str(head.get("ServerSideEncryption", "")) or "SSECustomerAlgorithm" in head

    def _uploaded_part_bytes(self, client: Any) -> int:
        """The size of the parts the object was uploaded in, which its ETag depends on; 0 = unknown."""
        head = client.head_object(Bucket=self._source.bucket, Key=self._source.key, PartNumber=1)
        return int(head["ContentLength"]) if head.get("PartsCount") else 0


def _etag(path: Path, part_bytes: int) -> str:
    """S3's ETag of a file: MD5, or for uploads in parts the MD5 of the parts' MD5s and their number."""
    with path.open("rb") as file:
        if not part_bytes:
            return hashlib.file_digest(file, _md5).hexdigest()
        digests = []
        size = os.fstat(file.fileno()).st_size
        for start in range(0, size, part_bytes):
            digest, left = _md5(), min(part_bytes, size - start)
            while left and (block := file.read(min(_READ_BYTES, left))):
                digest.update(block)
                left -= len(block)
            digests.append(digest.digest())
    whole = _md5()
    whole.update(b"".join(digests))
    return f"{whole.hexdigest()}-{len(digests)}"


def _md5() -> Any:
    return hashlib.md5(usedforsecurity=False)
