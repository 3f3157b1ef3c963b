"""The arguments that each engine takes: facts, and what follows from them for a value that a user wrote.

`arguments/vllm.json` is printed by vLLM's own parser (tools/vllm/arguments.py), so that a preview finds a misspelt key.
"""

from __future__ import annotations

import difflib
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

KINDS = {"flag": "true or false", "integer": "a whole number", "number": "a number", "text": "a text", "any": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """One argument. `kind` is a key of KINDS; `flag` and `negation` are what a command line says."""

    kind: str
    flag: str = ""
    negation: str = ""
    choices: tuple[str, ...] = ()
    many: bool = False


@dataclass(frozen=True, slots=True)
class Problem:
    """A key of `engineArgs` that the engine would refuse, why, and the nearest thing that it takes."""

    key: str
    value: object
    reason: str
    nearest: str = ""


@functools.cache
def arguments_of(engine: str) -> Mapping[str, Argument] | None:
    """The arguments of an engine by camelCase name; None: not known, the engine itself checks at its start."""
    file = resources.files("catalog") / "arguments" / f"{engine}.json"
    if not file.is_file():
        return None
    listed: dict[str, dict[str, Any]] = json.loads(file.read_text())["arguments"]
    return {
        name: Argument(**{**facts, "choices": tuple(facts.get("choices", ()))})
        for name, facts in sorted(listed.items())
    }


def argument_problems(engine: str, given: Mapping[str, Any]) -> list[Problem]:
    """Everything in `engineArgs` that the engine would refuse. Pure.

    1. An unknown key: the nearest known one.   2. A value of another kind.   3. A text that is no choice.
    """
    known = arguments_of(engine)
    if known is None:
        return []
    found = []
    for key, value in given.items():
        if key not in known:
            found.append(Problem(key, value, f"is no argument of {engine}", _nearest(key, known)))
        elif not _is(known[key], value):
            found.append(Problem(key, value, f"must be {KINDS[known[key].kind]}"))
        elif known[key].choices and str(value) not in known[key].choices and not known[key].many:
            choices = known[key].choices
            found.append(Problem(key, value, f"is not one of {', '.join(choices)}", _nearest(str(value), choices)))
    return found


def command_line(engine: str, given: Mapping[str, Any]) -> list[str]:
    """Engine arguments as words of a command line. Raises KeyError for an unknown one: check first."""
    words: list[str] = []
    known = arguments_of(engine) or {}
    for key, value in given.items():
        argument = known[key]
        if argument.kind == "flag":
            if word := argument.flag if value else argument.negation:
                words.append(word)
        elif argument.many and isinstance(value, list):
            words += [argument.flag, *map(_word, value)]
        else:
            words += [argument.flag, _word(value)]
    return words


def _is(argument: Argument, value: object) -> bool:
    match argument.kind:
        case "flag":
            return isinstance(value, bool)
        case "integer":
            return isinstance(value, int) and not isinstance(value, bool)
        case "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "text":
            return isinstance(value, str) or (argument.many and isinstance(value, list))
    return value is not None


def _word(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _nearest(word: str, known: Mapping[str, object] | tuple[str, ...]) -> str:
    by_lower = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower().replace("_", "").replace("-", ""), by_lower, n=1, cutoff=0.6)
    return by_lower[close[0]] if close else ""
