"""The interface between protocols and engines: a prompt and sampling parameters in, a stream of steps out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from runtime.contract.phases import Phase

Report = Callable[[Phase, str], None]
"""Called by an engine while it starts: the phase it is in and a short detail such as `120 of 269 MB`."""


class PromptTooLong(ValueError):
    """The prompt (with history and template) fills the context or more. Protocols answer 400 in their own shape."""

    def __init__(self, prompt_tokens: int, context: int) -> None:
        super().__init__(f"the prompt has {prompt_tokens} tokens, the context of this model is {context} tokens")
        self.prompt_tokens, self.context = prompt_tokens, context


class NotSupported(ValueError):
    """The engine cannot honour a parameter (guided decoding, say); the text says which and which engine can."""


class QueueFull(RuntimeError):
    """More requests wait than `limits.queue` allows. EAS answers 450."""


class EngineFailed(RuntimeError):
    """The engine broke while it generated; the text is safe to show."""


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a dialogue; role is system, user, assistant or tool."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """What to continue: a dialogue through the model's chat template, or text as it is.

    `resume`: text that starts the assistant's turn (BladeLLM's resume_response); only new text is returned.
    """

    messages: tuple[Message, ...] = ()
    text: str | None = None
    token_ids: tuple[int, ...] | None = None
    resume: str = ""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A prompt as token ids, checked against the context."""

    token_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Sampling:
    """All sampling parameters, normalised by the protocols. Greedy: `temperature == 0`.

    top_k 0 = no limit; top_p 1 = no limit; stop texts are not returned; `logprobs` None = off, n = n alternatives.
    """

    max_tokens: int = 2048
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    seed: int | None = None
    stop: tuple[str, ...] = ()
    stop_tokens: tuple[int, ...] = ()
    ignore_eos: bool = False
    logprobs: int | None = None
    guided: tuple[str, str] | None = None  # ("json" | "regex" | "choice" | "grammar", text)


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """The log-probability of one token, with alternatives `top` as (id, text, logprob)."""

    token_id: int
    token: str
    logprob: float
    top: tuple[tuple[int, str, float], ...] = ()


FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a generation. `text` is what became certain (never half a character, never a stop text's start).

    `completion_tokens` counts all tokens sampled so far, the end token included. Only the last step has a
    finish_reason: natural end or stop text gives "stop" (with text "" when the end token itself ended it), the limit
    gives "length" with the last token's text.
    """

    text: str
    completion_tokens: int
    finish_reason: FinishReason | None = None
    logprobs: tuple[TokenLogprob, ...] = ()


@dataclass(frozen=True, slots=True)
class Load:
    """What the engine is doing now. `kv_use` is 0..1."""

    running: int = 0
    queue: int = 0
    kv_use: float = 0.0


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What protocols may say about the model."""

    name: str
    context: int  # tokens
    adapters: tuple[str, ...] = field(default=())


class Engine(ABC):
    """A model that generates. One per replica; all methods are called from the replica's event loop."""

    card: ModelCard

    @abstractmethod
    async def start(self, report: Report) -> None:
        """Load the model; returns when the first request could be served. Raises EngineFailed with a plain reason."""

    @abstractmethod
    async def stop(self) -> None:
        """Free everything; running generations end with EngineFailed."""

    @abstractmethod
    async def encode(self, prompt: Prompt) -> Encoded:
        """Template and tokenize. Raises PromptTooLong when prompt_tokens >= context."""

    @abstractmethod
    def generate(self, encoded: Encoded, sampling: Sampling) -> AsyncIterator[Step]:
        """Generate; closing the iterator (aclose) cancels at once and frees the slot.

        `sampling.max_tokens` is cut to what the context leaves. Raises QueueFull before the first step,
        NotSupported before the first step, EngineFailed at any step.
        """

    @abstractmethod
    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of token ids (for logprobs and echo)."""

    @abstractmethod
    def load(self) -> Load:
        """The present load; cheap."""

    @property
    def extras(self) -> dict[str, Any]:
        """Engine facts for /-/status and logs, such as dtype and whether batching fell back."""
        return {}
