"""Pulumi's Analyzer protocol over the plan: one policy, `plan`, that looks at the whole stack at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from google.protobuf import empty_pb2, json_format
from pulumi.runtime.proto import analyzer_pb2 as pb
from pulumi.runtime.proto import analyzer_pb2_grpc, plugin_pb2

from catalog import CatalogError, load_for
from infra.plan import Finding, Level, LockError, make, read_lock, read_machine
from infra.plan.file import error_finding
from infra.policy._stack import Resource, config_of, urn_of
from infra.resources import VERSION
from infra.stackfile import StackFileErrors, load

PACK, POLICY = "inferform", "plan"
DESCRIPTION = "All services together fit, are allowed, and can roll out."
LEVELS = {Level.ERROR: pb.MANDATORY, Level.WARNING: pb.ADVISORY, Level.NOTE: pb.ADVISORY}


def check(resources: Sequence[Resource], folder: Path) -> tuple[Finding, ...]:
    """What the plan says of a stack's services together; paths and inferform.lock are those of `folder`."""
    config = config_of(resources)
    if config is None:
        return ()
    try:
        stack = load(config, folder=folder)
        return make(stack, load_for(folder), lock=read_lock(folder), machine=read_machine()).findings
    except StackFileErrors as wrong:
        return tuple(error_finding(error, "the program") for error in wrong.errors)
    except (LockError, CatalogError) as bad:
        return (Finding(level=Level.ERROR, rule="stack-file", path="", text=str(bad)),)


class Analyzer(analyzer_pb2_grpc.AnalyzerServicer):
    """One analyzer process. `folder` is the program's: where paths and the lock file are."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._declared: dict[str, Resource] = {}

    def Handshake(self, request: Any, context: Any) -> pb.AnalyzerHandshakeResponse:
        """Nothing to agree on."""
        return pb.AnalyzerHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> plugin_pb2.PluginInfo:
        """Our version."""
        return plugin_pb2.PluginInfo(version=VERSION)

    def GetAnalyzerInfo(self, request: Any, context: Any) -> pb.AnalyzerInfo:
        """One policy."""
        policy = pb.PolicyInfo(
            name=POLICY, displayName="Plan", description=DESCRIPTION, enforcementLevel=pb.MANDATORY,
            policy_type=pb.POLICY_TYPE_STACK,
        )  # fmt: skip
        return pb.AnalyzerInfo(
            name=PACK, displayName="Inferform", version=VERSION, policies=[policy], supportsConfig=True
        )

    def Configure(self, request: Any, context: Any) -> empty_pb2.Empty:
        """Nothing to configure."""
        return empty_pb2.Empty()

    def ConfigureStack(self, request: Any, context: Any) -> pb.AnalyzerStackConfigureResponse:
        """Nothing that depends on the stack."""
        return pb.AnalyzerStackConfigureResponse()

    def Cancel(self, request: Any, context: Any) -> empty_pb2.Empty:
        """A check takes milliseconds."""
        return empty_pb2.Empty()

    def Analyze(self, request: pb.AnalyzeRequest, context: Any) -> pb.AnalyzeResponse:
        """Single resources check themselves; what they declare is kept, for at the end the engine has only outputs."""
        self._declared[request.urn] = Resource(
            type=request.type,
            name=request.name,
            urn=request.urn,
            properties=json_format.MessageToDict(request.properties),
        )
        return pb.AnalyzeResponse()

    def Remediate(self, request: Any, context: Any) -> pb.RemediateResponse:
        """Nothing is changed behind a program's back."""
        return pb.RemediateResponse()

    def AnalyzeStack(self, request: pb.AnalyzeStackRequest, context: Any) -> pb.AnalyzeResponse:
        """The plan of all services together, at the resources that its findings belong to."""
        resources = [self._declared[each.urn] for each in request.resources if each.urn in self._declared]
        found = check(resources, self._folder)
        return pb.AnalyzeResponse(diagnostics=[diagnostic(finding, urn_of(finding, resources)) for finding in found])


def diagnostic(finding: Finding, urn: str) -> pb.AnalyzeDiagnostic:
    """A finding in Pulumi's form; only errors stop an update."""
    fix = f"; {finding.fix}" if finding.fix else ""
    return pb.AnalyzeDiagnostic(
        policyName=POLICY,
        policyPackName=PACK,
        policyPackVersion=VERSION,
        description=DESCRIPTION,
        message=f"{finding.path}: {finding.text}{fix} [{finding.rule}]",
        enforcementLevel=LEVELS[finding.level],
        urn=urn,
    )
