"""The peer's program: as many resources as it is told, each with the props of a typical one of ours."""

import os

import pulumi

PROPS = {"service": "chat", "hash": "0123456789", "replicas": {"min": 1, "max": 2}, "state": "folder"}

for number in range(int(os.environ["BARE_RESOURCES"])):
    pulumi.CustomResource("bare:index:Thing", f"thing-{number}", PROPS)
