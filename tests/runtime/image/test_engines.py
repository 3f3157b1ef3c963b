"""Which engine builds, how it is asked, and what is said when none can."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.image.engines import Engine, find_engine
from runtime.image.problem import ImageProblem
from tests.runtime.image.fake_engine import DIGEST, fake_engine


@pytest.mark.parametrize(
    ("there", "chosen"),
    [(("docker", "podman", "buildah"), "buildah"), (("docker", "podman"), "podman"), (("docker",), "docker")],
)
def test_the_first_that_is_there_builds(programs: Path, there: tuple[str, ...], chosen: str) -> None:
    for name in there:
        fake_engine(programs, name)
    assert find_engine() == Engine(chosen, str(programs / chosen))


def test_docker_without_its_daemon_does_not_count(programs: Path) -> None:
    fake_engine(programs, "docker", info="echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    with pytest.raises(ImageProblem) as problem:
        find_engine()
    assert str(problem.value) == (
        "nothing here builds images (buildah: not installed; podman: not installed; "
        "docker: Cannot connect to the Docker daemon)"
    )
    assert "apt-get install buildah" in problem.value.hint


def test_a_broken_engine_makes_room_for_the_next(programs: Path) -> None:
    fake_engine(programs, "buildah", info="echo no storage; exit 1")
    fake_engine(programs, "podman")
    assert find_engine().name == "podman"


def test_buildah_and_podman_cache_layers_and_make_the_same_digest_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BUILDAH_ISOLATION", raising=False)
    for name in ("buildah", "podman"):
        command = Engine(name, name).build_command(Path("/c"), "localhost/a:1", {"pip": Path("/s/pip")})
        text = " ".join(command)
        assert text.startswith(f"{name} build --layers=true --pull=false --isolation chroot ")
        assert "--timestamp 0" in text and "--secret id=pip,src=/s/pip" in text
    monkeypatch.setenv("BUILDAH_ISOLATION", "oci")
    assert "oci" in Engine("buildah", "buildah").build_command(Path("/c"), "a", {})


def test_docker_gets_only_what_docker_knows() -> None:
    command = Engine("docker", "docker").build_command(Path("/c"), "localhost/a:1", {"ca": Path("/s/ca")})
    assert command[:4] == ["docker", "build", "--progress", "plain"]
    assert not {"--layers=true", "--isolation", "--timestamp"} & set(command)


def test_a_push_gives_the_digest_that_the_registry_has(programs: Path) -> None:
    fake_engine(programs)
    engine = find_engine()
    assert engine.push("registry.example/a:1", lambda line: None) == DIGEST
    assert engine.digest("registry.example/a:1") == DIGEST


def test_a_push_that_is_refused_ends_with_the_engines_last_lines(programs: Path) -> None:
    fake_engine(programs, refused="unauthorized: authentication required")
    with pytest.raises(ImageProblem, match=r"buildah could not push registry.example/a:1") as problem:
        find_engine().push("registry.example/a:1", lambda line: None)
    assert problem.value.output == "Getting image source\nunauthorized: authentication required"
    assert "buildah login registry.example" in problem.value.hint
