"""The plugin's gRPC face: Pulumi's ResourceProvider protocol over the handlers.

Construct and GetPluginInfo come from the SDK's classic servicer; configuration and CRUD are written on the protobuf:
nothing in the SDK offers both (partial failure, secrets and unknowns included).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import grpc
from google.protobuf import empty_pb2
from pulumi.provider.server import ProviderServicer
from pulumi.runtime.proto import provider_pb2 as pb
from pulumi.runtime.proto import status_pb2

from infra.hostclient import HostGone, HostProblem
from infra.provider.construct import ComponentHost
from infra.provider.diff import Change, changes
from infra.provider.engine_log import EngineLog
from infra.provider.handlers import HANDLERS, Handler, InitFailed
from infra.provider.hosts import Hosts, said
from infra.provider.operation import Cancellation, Cancelled, Operation, Refused
from infra.provider.values import has_unknown, plain, read_map, write_map
from infra.resources import WAKE, token

Answer = TypeVar("Answer")
PROVIDER_KEYS = frozenset({"version", "pluginDownloadURL", "pluginChecksums", "parameterization", "__internal"})
"""The provider's own configuration. All else in its namespace is the stack file, no business of a provider resource."""
REFUSALS = (Refused, Cancelled, HostProblem, HostGone, ValueError)
"""What a handler raises for the user's eyes; anything else is a bug and keeps its traceback."""


class Servicer(ProviderServicer):
    """One plugin process. `watch` is called with the engine's address as soon as it is known."""

    def __init__(self, engine: str, *, hosts: Hosts | None = None, watch: Callable[[str], None] | None = None) -> None:
        super().__init__(ComponentHost(), [], engine)
        self.log = EngineLog(engine)
        self.cancellation = Cancellation()
        self._watch = watch
        self._hosts = hosts or Hosts()
        self.handlers: dict[str, Handler[Any]] = {token(kind.name): kind(self._hosts) for kind in HANDLERS}

    # Life ----------------------------------------------------------------------------------------------------------

    async def Handshake(self, request: pb.ProviderHandshakeRequest, context: Any) -> pb.ProviderHandshakeResponse:
        """The engine says where it is, we what we accept."""
        self._engine(request.engine_address)
        return pb.ProviderHandshakeResponse(accept_secrets=True, accept_resources=True, accept_outputs=True)

    async def Attach(self, request: Any, context: Any) -> empty_pb2.Empty:
        """An engine that found us by PULUMI_DEBUG_PROVIDERS."""
        self._engine(request.address)
        return empty_pb2.Empty()

    async def Cancel(self, request: Any, context: Any) -> empty_pb2.Empty:
        """Stop what runs; each operation cleans up after itself."""
        self.cancellation.cancel()
        return empty_pb2.Empty()

    def _engine(self, address: str) -> None:
        if address and address != self.engine_address:
            self.engine_address = address
            self.log.connect(address)
            if self._watch:
                self._watch(address)

    async def GetSchema(self, request: pb.GetSchemaRequest, context: Any) -> pb.GetSchemaResponse:
        """The package schema. Its modules are imported here: no update needs them."""
        from infra.provider.schema import package

        return pb.GetSchemaResponse(schema=json.dumps(package()))

    # Configuration -------------------------------------------------------------------------------------------------

    async def CheckConfig(self, request: pb.CheckRequest, context: Any) -> pb.CheckResponse:
        """Keep only the provider's own keys: the stack file shares our namespace and is sent here as well."""
        kept = {key: value for key, value in read_map(request.news).items() if key in PROVIDER_KEYS}
        return pb.CheckResponse(inputs=write_map(kept))

    async def DiffConfig(self, request: pb.DiffRequest, context: Any) -> pb.DiffResponse:
        """An update of the provider at most, never a replacement of everything."""
        old, new = (
            {key: value for key, value in read_map(data).items() if key in PROVIDER_KEYS - {"version"}}
            for data in (request.olds, request.news)
        )
        return _diff_response(changes(old, new), frozenset(), delete_first=False)

    async def Configure(self, request: pb.ConfigureRequest, context: Any) -> pb.ConfigureResponse:
        """Nothing to configure."""
        return pb.ConfigureResponse(acceptSecrets=True, acceptResources=True, acceptOutputs=True, supportsPreview=True)

    async def Invoke(self, request: pb.InvokeRequest, context: Any) -> pb.InvokeResponse:
        """A function: pure, so it may run in previews too. An unknown argument gives an unknown answer."""
        response = pb.InvokeResponse()
        if request.tok == WAKE:
            return response
        from infra.provider.functions import FUNCTIONS  # late: updates need none of them

        if request.tok not in FUNCTIONS:
            response.failures.append(pb.CheckFailure(reason=f"{request.tok} is not a function of this plugin"))
            return response
        arguments = read_map(request.args)
        if has_unknown(arguments):
            return response
        try:
            answer = await asyncio.to_thread(FUNCTIONS[request.tok].answer, plain(arguments))
        except ValueError as refused:
            response.failures.append(pb.CheckFailure(reason=str(refused)))
            return response
        getattr(response, "return").CopyFrom(write_map(answer))  # a keyword of Python
        return response

    # Resources -----------------------------------------------------------------------------------------------------

    async def Check(self, request: pb.CheckRequest, context: Any) -> pb.CheckResponse:
        """Defaults and validation. No network but a local host's socket, for at most 50 ms."""
        handler, old, new = self._of(request), read_map(request.olds), read_map(request.news)
        inputs, failures = await self._handle(context, handler.check, old, new, self._operation(request))
        found = [pb.CheckFailure(property=failure.property, reason=failure.reason) for failure in failures]
        return pb.CheckResponse(inputs=write_map(inputs), failures=found)

    async def Diff(self, request: pb.DiffRequest, context: Any) -> pb.DiffResponse:
        """What differs between the declarations; when nothing does, what differs in the world."""
        handler, new = self._of(request), read_map(request.news)
        old, outputs = read_map(request.old_inputs), read_map(request.olds)
        if not old:
            old = outputs
        found = changes(old, new, ignored=handler.undiffed | set(request.ignoreChanges))
        operation, replace_on = self._operation(request), handler.replaces(old, new)
        if found:
            if not any(change.top in replace_on for change in found) and (text := handler.explain(found)):
                await asyncio.to_thread(operation.status, text)
        elif (
            handler.observed
            and not has_unknown(_without(new, handler.undiffed))
            and (gone := await asyncio.to_thread(handler.drift, request.id, old, outputs))
        ):
            found = [Change(handler.observed, handler.observed, "ADD", observed=True)]
            await asyncio.to_thread(operation.info, f"{gone}: this update repairs it")
        return _diff_response(found, replace_on, delete_first=handler.delete_first)

    async def Create(self, request: pb.CreateRequest, context: Any) -> pb.CreateResponse:
        """Make it, or say what a preview can know."""
        handler, inputs = self._of(request), read_map(request.properties)
        if request.preview:
            return pb.CreateResponse(properties=write_map(handler.planned(inputs, None)))
        args = handler.inputs.model_validate(plain(inputs))
        id, outputs = await self._handle(context, handler.create, inputs, args, self._operation(request))
        return pb.CreateResponse(id=id, properties=write_map(outputs))

    async def Update(self, request: pb.UpdateRequest, context: Any) -> pb.UpdateResponse:
        """Change or repair it in place."""
        handler, inputs, outputs = self._of(request), read_map(request.news), read_map(request.olds)
        if request.preview:
            return pb.UpdateResponse(properties=write_map(handler.planned(inputs, outputs)))
        old = read_map(request.old_inputs)
        args = handler.inputs.model_validate(plain(inputs))
        operation = self._operation(request)
        updated = await self._handle(context, handler.update, request.id, old, outputs, inputs, args, operation)
        return pb.UpdateResponse(properties=write_map(updated))

    async def Read(self, request: pb.ReadRequest, context: Any) -> pb.ReadResponse:
        """Refresh and import."""
        handler, inputs, outputs = self._of(request), read_map(request.inputs), read_map(request.properties)
        found = await self._handle(context, handler.read, request.id, inputs, outputs, self._operation(request))
        if found is None:
            return pb.ReadResponse(id="")
        return pb.ReadResponse(id=request.id, inputs=write_map(found[0]), properties=write_map(found[1]))

    async def Delete(self, request: pb.DeleteRequest, context: Any) -> empty_pb2.Empty:
        """Remove it."""
        handler, outputs = self._of(request), read_map(request.properties)
        inputs = read_map(request.old_inputs) or outputs
        known = {field.alias or name for name, field in handler.inputs.model_fields.items()}
        args = handler.inputs.model_validate(plain({key: value for key, value in inputs.items() if key in known}))
        await self._handle(context, handler.delete, request.id, outputs, args, self._operation(request))
        return empty_pb2.Empty()

    # ----------------------------------------------------------------------------------------------------------------

    def _of(self, request: Any) -> Handler[Any]:
        """The handler of a request. A child's URN holds its parents' types too, joined by `$`."""
        kind = request.type or request.urn.split("::", 3)[2].rsplit("$", 1)[-1]
        handler = self.handlers.get(kind)
        if handler is None:
            raise ValueError(f"{kind} is no resource of this plugin; there are {', '.join(sorted(self.handlers))}")
        return handler

    def _operation(self, request: Any) -> Operation:
        return Operation(request.urn, self.log, self.cancellation, getattr(request, "timeout", 0.0))

    async def _handle(self, context: Any, work: Callable[..., Answer], *args: Any) -> Answer:
        """Run a handler's method in a thread; its refusals become errors without a traceback."""
        try:
            return await asyncio.to_thread(work, *args)
        except InitFailed as failed:
            await _half_done(context, failed)
        except HostProblem as problem:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, said(problem))
        except REFUSALS as refused:
            code = grpc.StatusCode.CANCELLED if isinstance(refused, Cancelled) else grpc.StatusCode.UNKNOWN
            await context.abort(code, str(refused))
        raise AssertionError("abort does not return")


async def _half_done(context: Any, failed: InitFailed) -> NoReturn:
    """It exists and is not healthy: the engine keeps what the status details say and updates it next time."""
    detail = pb.ErrorResourceInitFailed(
        id=failed.id, properties=write_map(failed.outputs), inputs=write_map(failed.inputs), reasons=failed.reasons
    )
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=str(failed))
    status.details.add().Pack(detail)
    metadata = (("grpc-status-details-bin", status.SerializeToString()),)
    await context.abort(grpc.StatusCode.UNKNOWN, str(failed), metadata)
    raise AssertionError("abort does not return")


def _diff_response(found: list[Change], replace_on: frozenset[str], *, delete_first: bool) -> pb.DiffResponse:
    detail = {}
    for change in found:
        kind = f"{change.kind}_REPLACE" if change.top in replace_on and not change.observed else change.kind
        detail[change.path] = pb.PropertyDiff(kind=pb.PropertyDiff.Kind.Value(kind), inputDiff=not change.observed)
    replaces = sorted({change.top for change in found if change.top in replace_on and not change.observed})
    return pb.DiffResponse(
        changes=pb.DiffResponse.DIFF_SOME if found else pb.DiffResponse.DIFF_NONE,
        diffs=sorted({change.top for change in found}),
        replaces=replaces,
        detailedDiff=detail,
        hasDetailedDiff=True,
        deleteBeforeReplace=delete_first and bool(replaces),
    )


def _without(values: dict[str, Any], keys: frozenset[str]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in keys}
