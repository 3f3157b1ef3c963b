"""What every end-to-end behaviour needs: a throw-away Pulumi project, a steady load, a way to kill things."""

from tests.e2e.harness.calls import Answer, ask, ask_stream
from tests.e2e.harness.load import SteadyLoad, Verdict
from tests.e2e.harness.project import CommandFailed, Project, scripted

__all__ = ["Answer", "CommandFailed", "Project", "SteadyLoad", "Verdict", "ask", "ask_stream", "scripted"]
