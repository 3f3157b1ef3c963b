"""The Containerfile of a recipe. Pure."""

from __future__ import annotations

from pathlib import Path

import jinja2

from runtime.image.recipe import COMPILING, Recipe

HOME = "/opt/inferform"
USER = 65532
"""Numeric, so that Kubernetes can see without the image's passwd that it is not root."""


def containerfile(recipe: Recipe, parts: str = "", *, image: str = "") -> str:
    """The Containerfile of the parts, or of the image on top of `parts`: a changed source builds that alone.

    `image`: of what that image has on top of its parts, without them.

    It names files of the context (`context.py`) and no address but the base's.
    """
    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(
        loader=loader,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return environment.get_template("Containerfile.j2").render(
        recipe=recipe,
        parts=parts,
        image=image,
        home=HOME,
        user=USER,
        venv=f"{HOME}/venv",
        engine=f"{HOME}/vllm",
        compiling=list(COMPILING),
    )
