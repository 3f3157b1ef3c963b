"""What is decided before anything is created: fit, placement, quota, rollout, cost, cold start, offline.

No network, no Pulumi.

    plan = make(stack, load(), lock=read_lock(stack.folder), machine=read_machine())
    if plan.errors: ...
    print(text(plan))
"""

from infra.measured import read_measured
from infra.plan._make import make
from infra.plan.deployed import deployed_from, deployed_of, summary
from infra.plan.document import (
    Deployed,
    DeployedVersion,
    Finding,
    Level,
    Plan,
    RolloutPlan,
    ServicePlan,
    Term,
    VersionPlan,
)
from infra.plan.json_form import to_data
from infra.plan.lock import Lock, LockError, read_lock
from infra.plan.machine import Machine, read_machine
from infra.plan.markdown import markdown
from infra.plan.measured import with_measured
from infra.plan.page import page
from infra.plan.text import text

__all__ = [
    "Deployed",
    "DeployedVersion",
    "Finding",
    "Level",
    "Lock",
    "LockError",
    "Machine",
    "Plan",
    "RolloutPlan",
    "ServicePlan",
    "Term",
    "VersionPlan",
    "deployed_from",
    "deployed_of",
    "make",
    "markdown",
    "page",
    "read_lock",
    "read_machine",
    "read_measured",
    "summary",
    "text",
    "to_data",
    "with_measured",
]
