"""What an OpenAI client asks: the two request bodies, and how they become prompts and sampling parameters. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self, TypeVar

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from runtime.replica.answers import BadRequest
from runtime.replica.engines.base import Message, Prompt, Sampling
from runtime.replica.protocols.chatllm_request import MAX_INT

MAX_CHOICES = 16
COMPLETION_TOKENS = 16
"""OpenAI's default of `max_tokens` for completions; a chat has what the context leaves."""

Penalty = Annotated[float, Field(ge=-2, le=2)]


class StreamOptions(BaseModel):
    """`include_usage`: one more chunk with an empty `choices` and the usage."""

    include_usage: bool = False


class Part(BaseModel):
    """A content part; only text can be understood here."""

    type: str
    text: str | None = None


class Turn(BaseModel):
    """One message."""

    role: str
    content: str | list[Part] | None = None

    def message(self, at: int) -> Message:
        """Parts are joined by line ends. Raises BadRequest for a part that is not text."""
        if self.content is None or isinstance(self.content, str):
            return Message(self.role, self.content or "")
        for number, part in enumerate(self.content):
            if part.type != "text" or part.text is None:
                raise BadRequest(
                    f"messages[{at}].content[{number}]: a part of type `{part.type}` is not supported; use `text`"
                )
        return Message(self.role, "\n".join(part.text or "" for part in self.content))


class ResponseFormat(BaseModel):
    """`text`, `json_object` or `json_schema`."""

    model_config = ConfigDict(protected_namespaces=())

    type: str
    json_schema: dict[str, Any] | None = None


class Request(BaseModel):
    """What chat and completions share, with vLLM's extra sampling parameters. Unknown fields are ignored."""

    model: str | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=-1)] | None = None
    n: Annotated[int, Field(ge=1, le=MAX_CHOICES)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    stop: str | list[str] | None = None
    stop_token_ids: list[int] | None = None
    seed: int | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    repetition_penalty: Annotated[float, Field(gt=0)] | None = None
    ignore_eos: bool | None = None
    response_format: ResponseFormat | None = None
    guided_json: str | dict[str, Any] | None = None
    guided_regex: str | None = None
    guided_choice: list[str] | None = None
    guided_grammar: str | None = None

    @model_validator(mode="after")
    def _one_choice_in_a_stream(self) -> Self:
        if self.stream and (self.n or 1) > 1:
            raise ValueError("`n` above 1 cannot be streamed")
        return self

    @property
    def choices(self) -> int:
        """How many answers are asked for."""
        return self.n or 1

    @property
    def include_usage(self) -> bool:
        """Whether a stream ends with a usage chunk."""
        return self.stream_options is not None and self.stream_options.include_usage

    def _sampling(self, max_tokens: int, logprobs: int | None) -> Sampling:
        return Sampling(
            max_tokens=min(max_tokens, MAX_INT),
            temperature=0.0 if self.top_p == 0 else 1.0 if self.temperature is None else self.temperature,
            top_k=max(0, self.top_k or 0),
            top_p=self.top_p or 1.0,
            repetition_penalty=self.repetition_penalty or 1.0,
            presence_penalty=self.presence_penalty or 0.0,
            frequency_penalty=self.frequency_penalty or 0.0,
            seed=self.seed,
            stop=tuple(stop for stop in ([self.stop] if isinstance(self.stop, str) else self.stop or ()) if stop),
            stop_tokens=tuple(self.stop_token_ids or ()),
            ignore_eos=bool(self.ignore_eos),
            logprobs=logprobs,
            guided=self._guided(),
        )

    def _guided(self) -> tuple[str, str] | None:
        if self.guided_json is not None:
            return "json", self.guided_json if isinstance(self.guided_json, str) else orjson.dumps(
                self.guided_json
            ).decode()
        for kind, text in (("regex", self.guided_regex), ("grammar", self.guided_grammar)):
            if text is not None:
                return kind, text
        if self.guided_choice is not None:
            return "choice", orjson.dumps(self.guided_choice).decode()
        if self.response_format is not None and self.response_format.type != "text":
            schema = (self.response_format.json_schema or {}).get("schema", {})
            return "json", orjson.dumps(schema).decode()
        return None


class ChatRequest(Request):
    """POST /v1/chat/completions."""

    messages: Annotated[list[Turn], Field(min_length=1)]
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: Any = None

    def prompts(self) -> list[Prompt]:
        """One dialogue."""
        if self.tools and self.tool_choice != "none":
            raise BadRequest("tools: this engine cannot call tools; engine vllm can")
        return [Prompt(messages=tuple(turn.message(at) for at, turn in enumerate(self.messages)))]

    def sampling(self) -> Sampling:
        """Without a limit the context is the limit."""
        return self._sampling(
            self.max_completion_tokens or self.max_tokens or MAX_INT,
            (self.top_logprobs or 0) if self.logprobs else None,
        )


class CompletionRequest(Request):
    """POST /v1/completions."""

    prompt: str | list[str] | list[int] | list[list[int]]
    echo: bool | None = None
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    suffix: Literal[""] | None = None

    @model_validator(mode="after")
    def _one_prompt_in_a_stream(self) -> Self:
        prompts = len(self.prompts())
        if not 1 <= prompts * self.choices <= MAX_CHOICES:
            raise ValueError(f"`prompt` times `n` has to be in [1, {MAX_CHOICES}], but is {prompts * self.choices}")
        if self.stream and prompts > 1:
            raise ValueError("a list of prompts cannot be streamed")
        return self

    def prompts(self) -> list[Prompt]:
        """Texts or token ids, given to the model as they are."""
        if isinstance(self.prompt, str):
            return [Prompt(text=self.prompt)]
        if self.prompt and isinstance(self.prompt[0], int):
            return [Prompt(token_ids=tuple(self.prompt))]
        return [Prompt(text=p) if isinstance(p, str) else Prompt(token_ids=tuple(p)) for p in self.prompt]  # type: ignore[arg-type]

    def sampling(self) -> Sampling:
        """16 tokens unless the request says otherwise."""
        return self._sampling(self.max_tokens or COMPLETION_TOKENS, self.logprobs)


T = TypeVar("T", bound=Request)


def parse(kind: type[T], body: bytes) -> T:
    """The request, or BadRequest with every problem."""
    try:
        return kind.model_validate(_object(body))
    except ValidationError as error:
        raise BadRequest("; ".join(f"{place(p['loc'])}: {p['msg']}" for p in error.errors())) from None


def _object(body: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not valid JSON: {error}") from None
    if not isinstance(document, dict):
        raise BadRequest("the body has to be a JSON object")
    return document


def place(location: Sequence[str | int]) -> str:
    """`("stop", 0)` as `stop[0]`; what names a union's member is left out."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        elif part.replace("_", "").isalnum():
            text += f".{part}" if text else part
    return text or "body"
