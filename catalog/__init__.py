"""Facts, no decisions: models, GPUs, instance types, prices, engines; each with its source and how far it was verified.

catalog = load()                                # what ships, plus files of the user's own
catalog.models["Qwen2.5-7B-Instruct"].config    # the keys of its config.json that sizing needs
"""

from catalog._arguments import Argument, argument_problems, arguments_of, command_line
from catalog._documents import (
    Catalog,
    Engine,
    ExchangeRate,
    Gpu,
    InstanceType,
    Model,
    Price,
    Speed,
    Verified,
)
from catalog._load import OWN_FILE, CatalogError, load, load_for

__all__ = [
    "OWN_FILE",
    "Argument",
    "Catalog",
    "CatalogError",
    "Engine",
    "ExchangeRate",
    "Gpu",
    "InstanceType",
    "Model",
    "Price",
    "Speed",
    "Verified",
    "argument_problems",
    "arguments_of",
    "command_line",
    "load",
    "load_for",
]
