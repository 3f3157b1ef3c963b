"""What a BladeLLM client asks: table 7.2 of eas-protocols.md with the validation texts of 7.4. Pure."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

import orjson
from pydantic import BaseModel, BeforeValidator, Field, ValidationError, WithJsonSchema, field_validator

from runtime.replica.answers import BadRequest
from runtime.replica.engines.base import Prompt, Sampling
from runtime.replica.protocols.chatllm_request import MAX_INT
from runtime.replica.protocols.openai_request import Turn, place

DEFAULT_MAX_TOKENS = 16
MAX_TOP_LOGPROBS = 20


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _truthy(value: Any) -> bool:
    return value.strip().lower() not in ("", "false", "0") if isinstance(value, str) else bool(value)


def _format_type(value: Any) -> Any:
    return value.get("type") if isinstance(value, dict) else value


def _json_text(value: Any) -> Any:
    return orjson.dumps(value).decode() if isinstance(value, dict) else value


def _shown(kind: str, **bounds: float) -> WithJsonSchema:
    """A range for the OpenAPI document; the validators below refuse what is outside it in the protocol's own words."""
    return WithJsonSchema({"type": kind, **bounds})


_STRINGS = {"type": "array", "items": {"type": "string"}}
Texts = Annotated[list[str], BeforeValidator(_as_list), WithJsonSchema({"anyOf": [{"type": "string"}, _STRINGS]})]
_KINDS = {"enum": ["json_object", "text"]}
_FORMAT = {"anyOf": [_KINDS, {"type": "object", "required": ["type"], "properties": {"type": _KINDS}}]}
Penalty = Annotated[float, _shown("number", minimum=-2, maximum=2)]


class Request(BaseModel):
    """What completions and chat share. Unknown fields are ignored; null means absent."""

    model: str | None = None
    max_tokens: Annotated[int, _shown("integer", minimum=1)] | None = None
    seed: int | None = None
    stream: bool | None = None
    temperature: Annotated[float, _shown("number", minimum=0)] | None = None
    top_p: Annotated[float, _shown("number", minimum=0, maximum=1)] | None = None
    top_k: Annotated[int, _shown("integer", minimum=-1)] | None = None
    repetition_penalty: Annotated[float, _shown("number", exclusiveMinimum=0)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    stop: Texts | None = None
    stop_sequences: Texts | None = None
    stop_tokens: list[int] | None = None
    ignore_eos: bool | None = None
    logprobs: Annotated[bool, BeforeValidator(_truthy), WithJsonSchema({})] = False
    top_logprobs: Annotated[int, _shown("integer", minimum=0, maximum=MAX_TOP_LOGPROBS)] | None = None
    response_format: Annotated[str, BeforeValidator(_format_type), WithJsonSchema(_FORMAT)] | None = None
    guided_regex: str | None = None
    guided_json: Annotated[str, BeforeValidator(_json_text), WithJsonSchema({"type": ["string", "object"]})] | None = (
        None
    )
    guided_choice: list[str] | None = None
    guided_grammar: str | None = None
    guided_whitespace_pattern: str | None = None
    n: int | None = None

    @field_validator("presence_penalty", "frequency_penalty")
    @classmethod
    def _in_range(cls, value: float | None, info: Any) -> float | None:
        if value is not None and not -2 <= value <= 2:
            raise ValueError(f"`{info.field_name}` has to be in [-2, 2], but is {value:g}")
        return value

    @field_validator("repetition_penalty")
    @classmethod
    def _above_zero(cls, value: float | None, info: Any) -> float | None:
        if value is not None and not value > 0:
            raise ValueError(f"`{info.field_name}` has to be a strictly positive float, but is {value:g}")
        return value

    @field_validator("max_tokens")
    @classmethod
    def _at_least_one(cls, value: int | None, info: Any) -> int | None:
        if value is not None and value < 1:
            raise ValueError(f"`{info.field_name}` has to be a strictly positive int, but is {value}")
        return value

    @field_validator("temperature")
    @classmethod
    def _not_negative(cls, value: float | None, info: Any) -> float | None:
        if value is not None and not value >= 0:
            raise ValueError(f"`{info.field_name}` has to be a non-negative float, but is {value:g}")
        return value

    @field_validator("top_p")
    @classmethod
    def _share(cls, value: float | None, info: Any) -> float | None:
        if value is not None and not 0 <= value <= 1:
            raise ValueError(f"`{info.field_name}` has to be in [0, 1], but is {value:g}")
        return value

    @field_validator("top_k")
    @classmethod
    def _count_or_none(cls, value: int | None, info: Any) -> int | None:
        if value is not None and value < -1:
            raise ValueError(f"`{info.field_name}` has to be at least -1, but is {value}")
        return value

    @field_validator("top_logprobs")
    @classmethod
    def _few(cls, value: int | None, info: Any) -> int | None:
        if value is not None and not 0 <= value <= MAX_TOP_LOGPROBS:
            raise ValueError(f"`{info.field_name}` has to be in [0, {MAX_TOP_LOGPROBS}], but is {value}")
        return value

    @field_validator("response_format")
    @classmethod
    def _known_format(cls, value: str | None, info: Any) -> str | None:
        if value not in (None, "json_object", "text"):
            raise ValueError(f"`{info.field_name}` has to be `json_object` or `text`, but is {value!r}")
        return value

    @property
    def wants_logprobs(self) -> bool:
        """Any truthy `logprobs` switches them on; asking for alternatives does too."""
        return self.logprobs or bool(self.top_logprobs)

    def sampling(self) -> Sampling:
        """With the defaults of table 7.2; greedy becomes temperature 0."""
        return Sampling(
            max_tokens=min(self.max_tokens or DEFAULT_MAX_TOKENS, MAX_INT),
            temperature=0.0 if self.top_p == 0 else 1.0 if self.temperature is None else self.temperature,
            top_k=max(0, self.top_k or 0),
            top_p=self.top_p or 1.0,
            repetition_penalty=self.repetition_penalty or 1.0,
            presence_penalty=self.presence_penalty or 0.0,
            frequency_penalty=self.frequency_penalty or 0.0,
            seed=self.seed,
            stop=tuple(stop for stop in (*(self.stop or ()), *(self.stop_sequences or ())) if stop),
            stop_tokens=tuple(self.stop_tokens or ()),
            ignore_eos=bool(self.ignore_eos),
            logprobs=(self.top_logprobs or 0) if self.wants_logprobs else None,
            guided=self._guided(),
        )

    def _guided(self) -> tuple[str, str] | None:
        for kind, text in (("json", self.guided_json), ("regex", self.guided_regex), ("grammar", self.guided_grammar)):
            if text is not None:
                return kind, text
        if self.guided_choice is not None:
            return "choice", orjson.dumps(self.guided_choice).decode()
        return ("json", "{}") if self.response_format == "json_object" else None


class CompletionRequest(Request):
    """POST /v1/completions."""

    prompt: str
    echo: bool | None = None

    def to_prompt(self) -> Prompt:
        """The text as it is."""
        return Prompt(text=self.prompt)


class ChatRequest(Request):
    """POST /v1/chat/completions. `resume_response` starts the assistant's turn."""

    messages: Annotated[list[Turn], Field(min_length=1)]
    resume_response: str | None = None

    def to_prompt(self) -> Prompt:
        """The dialogue; raises BadRequest for a content part that is not text."""
        turns = tuple(turn.message(at) for at, turn in enumerate(self.messages))
        return Prompt(messages=turns, resume=self.resume_response or "")


T = TypeVar("T", bound=Request)


def parse(kind: type[T], body: bytes) -> T:
    """The request, or BadRequest with one line per problem (7.4)."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadRequest("Invalid request: body is not valid JSON") from None
    if not isinstance(document, dict):
        raise BadRequest("Invalid request: body has to be a JSON object")
    try:
        return kind.model_validate(document)
    except ValidationError as error:
        raise BadRequest("\n".join(f"Invalid request: {place(p['loc'])}: {p['msg']}" for p in error.errors())) from None
