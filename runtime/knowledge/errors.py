"""What can be wrong with a document; the text is for the person who uploaded it."""

from __future__ import annotations


class DocumentError(ValueError):
    """The document cannot be taken: its kind, its size, or nothing in it."""
