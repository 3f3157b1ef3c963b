"""Prompts to token ids: the model's chat template and tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jinja2

from runtime.replica.engines.base import Encoded, Message, NotSupported, Prompt


@dataclass(frozen=True, slots=True)
class Continued(Encoded):
    """A prompt that ends in the middle of a text: whether a space comes first depends on what stands before."""


class Encoder:
    """Wraps a Hugging Face tokenizer; all methods may be called from any thread."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._token_texts: dict[int, str] = {}

    def encode(self, prompt: Prompt) -> Encoded:
        """Token ids of a prompt, not yet checked against the context.

        Raises NotSupported when the chat template refuses the dialogue.
        """
        kind = Continued if prompt.resume or not prompt.messages else Encoded
        return kind(self._encode(prompt))

    def _encode(self, prompt: Prompt) -> tuple[int, ...]:
        if prompt.token_ids is not None:
            return prompt.token_ids + self._ids(prompt.resume, special=False)
        if prompt.text is not None:
            return self._ids(prompt.text + prompt.resume, special=True)
        if not getattr(self._tokenizer, "chat_template", None):
            # A base model: nothing but the words, which is what such a model continues.
            return self._ids("\n".join(message.content for message in prompt.messages) + prompt.resume, special=True)
        return self._ids(self._templated(prompt.messages) + prompt.resume, special=False)

    def decode(self, token_ids: Sequence[int]) -> str:
        """Text of token ids; special tokens left out."""
        text: str = self._tokenizer.decode(
            list(token_ids), skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return text

    def token_text(self, token: int) -> str:
        """Text of one token, special tokens shown; remembered, since log-probabilities ask often."""
        if (known := self._token_texts.get(token)) is None:
            known = self._tokenizer.decode([token], clean_up_tokenization_spaces=False)
            self._token_texts[token] = known
        return known

    def _ids(self, text: str, *, special: bool) -> tuple[int, ...]:
        if not text and not special:
            return ()
        return tuple(self._tokenizer.encode(text, add_special_tokens=special))

    def _templated(self, messages: Sequence[Message]) -> str:
        turns = [{"role": message.role, "content": message.content} for message in messages]
        try:
            text: str = self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
        except jinja2.TemplateError as error:
            raise NotSupported(f"the model's chat template refuses this dialogue: {error}") from error
        return text
