"""Where weights come from: folders, S3, the hubs and the embedded default model. fetch.py is the way in."""

from runtime.replica.sources.fetch import fetch
from runtime.replica.sources.reference import SourceError

__all__ = ["SourceError", "fetch"]
