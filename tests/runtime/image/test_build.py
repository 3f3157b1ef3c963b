"""An image from a recipe: what is built, pushed and remembered."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from runtime.contract.version import Method
from runtime.image.build import Built, Order, archive_digest, build, repository
from runtime.image.console import Progress
from runtime.image.problem import ImageProblem
from runtime.image.recipe import recipe
from tests.runtime.image.fake_engine import DIGEST, fake_engine

STANDARD = recipe(Method.STANDARD)


@pytest.mark.parametrize(
    ("push", "name"),
    [
        ("", "localhost/inferform"),
        ("registry.example", "registry.example/inferform"),
        ("registry.example:5000/", "registry.example:5000/inferform"),
        ("registry.example/team/llm", "registry.example/team/llm"),
    ],
)
def test_a_registry_or_a_repository_names_the_image(push: str, name: str) -> None:
    assert repository(push) == name


@pytest.mark.parametrize("push", ["https://registry.example", "registry.example/Team", "registry.example/a:tag", "a b"])
def test_what_is_neither_is_refused_before_anything_is_built(push: str) -> None:
    with pytest.raises(ImageProblem, match=r"--push: .* is not a registry"):
        build(STANDARD, Order(push=push), Progress(), find=lambda: pytest.fail("an engine was looked for"))


def test_a_pushed_image_is_named_by_the_digest_that_the_registry_has(programs: Path) -> None:
    log = fake_engine(programs)
    built = build(STANDARD, Order(push="registry.example"), Progress())
    assert built.reference == f"registry.example/inferform@{DIGEST}"
    assert built.tag.startswith("registry.example/inferform:standard-")
    assert built.pushed and built.archive is None
    calls = log.read_text()
    assert calls.index(" build ") < calls.index(" push ")
    assert (programs / "context" / "Containerfile").read_text().startswith("# The image of method standard")


def test_a_failed_step_shows_the_engines_last_lines(programs: Path, capfd: pytest.CaptureFixture[str]) -> None:
    fake_engine(programs, build="echo 'ERROR: no matching distribution'; exit 1")
    with pytest.raises(ImageProblem, match=r"buildah could not build localhost/inferform:standard-") as problem:
        build(STANDARD, Order(), Progress())
    assert problem.value.output.endswith("ERROR: no matching distribution")
    assert "--bootstrap" in problem.value.hint
    assert "FROM base" in capfd.readouterr().err


def test_a_base_that_is_not_there_is_the_engines_word(programs: Path) -> None:
    fake_engine(programs, build="echo 'initializing source docker://a/b: name unknown'; exit 125")
    with pytest.raises(ImageProblem) as problem:
        build(replace(STANDARD, base="a/b"), Order(), Progress())
    assert "name unknown" in problem.value.output


def test_an_archive_goes_into_a_folder_that_is_there(tmp_path: Path) -> None:
    with pytest.raises(ImageProblem, match="--output: there is no folder"):
        build(STANDARD, Order(archive=tmp_path / "absent" / "a.tar"), Progress())


def test_an_archive_of_the_same_content_is_kept(programs: Path, tmp_path: Path) -> None:
    log = fake_engine(programs)
    archive = tmp_path / "a.tar"
    built = build(STANDARD, Order(), Progress())
    archive.write_bytes(b"layers")
    archive.with_name("a.tar.json").write_text(built.to_json())
    log.unlink()
    again = build(STANDARD, Order(archive=archive, reuse=True), Progress())
    assert again.cached and again.reference == built.reference
    assert not log.exists()
    other = built.model_copy(update={"tag": "localhost/inferform:standard-other"})
    archive.with_name("a.tar.json").write_text(other.to_json())
    with pytest.raises(ImageProblem):  # of another content: built anew, and the fake writes no archive
        build(STANDARD, Order(archive=archive, reuse=True), Progress())
    assert archive.read_bytes() == b"layers"


def test_missing_parts_are_built_before_the_image(programs: Path) -> None:
    log = fake_engine(programs, no_parts=True)
    build(STANDARD, Order(), Progress())
    tags = [line.split(" --tag ")[1].split()[0] for line in log.read_text().splitlines() if " build " in line]
    assert [tag.partition(":")[0] for tag in tags] == ["localhost/inferform-parts", "localhost/inferform"]


def test_parts_that_are_there_are_not_built(programs: Path) -> None:
    log = fake_engine(programs)
    build(STANDARD, Order(), Progress())
    assert [line for line in log.read_text().splitlines() if " build " in line and "inferform-parts" in line] == []


def test_fresh_builds_the_parts_without_what_earlier_builds_left(programs: Path) -> None:
    log = fake_engine(programs)
    build(STANDARD, Order(fresh=True), Progress())
    parts, image = [line for line in log.read_text().splitlines() if " build " in line]
    assert "--tag localhost/inferform-parts:" in parts and " --no-cache " in parts
    assert "--tag localhost/inferform:" in image and "--no-cache" not in image


def test_a_changed_source_compresses_its_own_layer_alone(programs: Path, tmp_path: Path) -> None:
    log = fake_engine(programs)
    parts = oci_layout(programs / "parts-layout", b"parts", Env=["A=1"], Cmd=["sh"])
    top = oci_layout(programs / "top-layout", b"sources", Cmd=["python"], User="65532:65532")
    built = build(STANDARD, Order(archive=tmp_path / "a.tar"), Progress())
    with tarfile.open(tmp_path / "a.tar") as tar:
        blobs = {name.rpartition("/")[2]: tar.extractfile(name) for name in tar.getnames() if name.startswith("blobs")}
        texts = {f"sha256:{digest}": stream.read() for digest, stream in blobs.items() if stream}
    assert all(hashlib.sha256(text).hexdigest() == digest[7:] for digest, text in texts.items())
    manifest = json.loads(texts[built.digest])
    assert [layer["digest"] for layer in manifest["layers"]] == [parts, top]
    config = json.loads(texts[manifest["config"]["digest"]])
    assert config["rootfs"]["diff_ids"] == ["sha256:of-parts", "sha256:of-sources"]
    assert config["config"] == {"Env": ["A=1"], "Cmd": ["python"], "User": "65532:65532"}
    log.unlink()
    (tmp_path / "a.tar").unlink()
    assert build(STANDARD, Order(archive=tmp_path / "a.tar"), Progress()).digest == built.digest
    pushed = [line for line in log.read_text().splitlines() if " push " in line]
    assert len(pushed) == 1 and "inferform-top" in pushed[0], "the parts' layers were kept"


def oci_layout(folder: Path, layer: bytes, **config: object) -> str:
    """A layout of one image of one layer; the layer's digest."""
    (folder / "blobs" / "sha256").mkdir(parents=True)

    def blob(content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        (folder / "blobs" / "sha256" / digest).write_bytes(content)
        return f"sha256:{digest}"

    rootfs = {"type": "layers", "diff_ids": [f"sha256:of-{layer.decode()}"]}
    image = blob(json.dumps({"architecture": "amd64", "os": "linux", "config": config, "rootfs": rootfs}).encode())
    stored = blob(layer)
    manifest = {"config": {"digest": image}, "layers": [{"digest": stored, "size": len(layer)}]}
    (folder / "index.json").write_text(json.dumps({"manifests": [{"digest": blob(json.dumps(manifest).encode())}]}))
    return stored


def test_the_digest_of_an_archive_is_its_manifests(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    with tarfile.open(archive, "w") as tar:
        content = json.dumps({"manifests": [{"digest": DIGEST}]}).encode()
        entry = tarfile.TarInfo("index.json")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    assert archive_digest(archive) == DIGEST
    archive.write_bytes(b"no tar")
    with pytest.raises(ImageProblem, match="no OCI archive"):
        archive_digest(archive)


def test_what_was_built_survives_json() -> None:
    built = Built(method="standard", reference="a@b", tag="a:1", digest="b", bytes=1, seconds=2.5)
    assert Built.from_json(built.to_json()) == built
