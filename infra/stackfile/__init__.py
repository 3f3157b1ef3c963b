"""What a user may write: the stack file's models, its errors, its JSON Schema.

stack = load(config, folder=Path("."))      # a normalised Stack, or StackFileErrors with all problems at once
stack = load_file(Path("Pulumi.local.yaml"))
"""

from infra.stackfile.errors import StackFileError, StackFileErrors
from infra.stackfile.file import load_file, read_config
from infra.stackfile.load import Stack, load
from infra.stackfile.resources import Quota, ResourceGroup, Resources, Spot
from infra.stackfile.schema import json_schema, schema_text
from infra.stackfile.services import Knowledge, Limits, Rollout, Service, Timeouts, Trust, Wire
from infra.stackfile.sources import BadSource, Source, model_source, mount_source
from infra.stackfile.targets import EksTarget, KubernetesTarget, LocalTarget, Target
from infra.stackfile.versions import Probe, Probes, Replicas, ScaleTarget, StorageMount, Version

__all__ = [
    "BadSource",
    "EksTarget",
    "Knowledge",
    "KubernetesTarget",
    "Limits",
    "LocalTarget",
    "Probe",
    "Probes",
    "Quota",
    "Replicas",
    "ResourceGroup",
    "Resources",
    "Rollout",
    "ScaleTarget",
    "Service",
    "Source",
    "Spot",
    "Stack",
    "StackFileError",
    "StackFileErrors",
    "StorageMount",
    "Target",
    "Timeouts",
    "Trust",
    "Version",
    "Wire",
    "json_schema",
    "load",
    "load_file",
    "model_source",
    "mount_source",
    "read_config",
    "schema_text",
]
