"""Which of a repository's files a replica needs, by what the stack file trusts. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatch

from runtime.contract.version import Trust
from runtime.replica.sources.reference import SourceError

WEIGHTS = ("*.safetensors",)
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
CODE = ("*.py",)
PLAIN = ("*.json", "*.model", "*.tiktoken", "*.jinja", "merges.txt", "vocab.txt", "LICENSE*", "*.jsonl")
_NEVER = ("onnx/*", "original/*", "openvino/*", "coreml/*", "training_args.bin", "optimizer*", "*.gguf")


def choose_files(names: Iterable[str], trust: Trust, source: str) -> list[str]:
    """The files to fetch: safetensors, tokenizer and configuration; pickles and code only where trusted.

    Raises SourceError when that leaves no weights.
    """
    known = sorted(name for name in names if not _matches(name, _NEVER))
    weights = [name for name in known if _matches(name, WEIGHTS)]
    pickles = [name for name in known if _matches(name, PICKLES)]
    if not weights and pickles and not trust.pickle:
        raise SourceError(f"{source} has pickle weights only ({pickles[0]}); trust.pickle is needed to use them")
    if not weights and not pickles:
        raise SourceError(f"{source} holds no weights (no .safetensors file)")
    code = [name for name in known if _matches(name, CODE)] if trust.remote_code else []
    plain = [name for name in known if _matches(name, PLAIN)]
    return sorted({*(weights or pickles), *code, *plain})


def is_pickle_only(names: Iterable[str]) -> bool:
    """Weights exist, none of them safetensors."""
    known = [name for name in names if not _matches(name, _NEVER)]
    return not any(_matches(name, WEIGHTS) for name in known) and any(_matches(name, PICKLES) for name in known)


def is_weights(name: str) -> bool:
    """Whether a file holds weights."""
    return _matches(name, WEIGHTS + PICKLES)


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)
