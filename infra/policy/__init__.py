"""The policy pack: stack-wide checks for programs that declare services one by one, without the Stack component.

pulumi preview --policy-pack examples/policy
"""

from infra.policy._serve import main

__all__ = ["main"]
