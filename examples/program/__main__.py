"""A program of one's own: one model, one endpoint."""

import pulumi
import pulumi_inferform as inferform

settings = pulumi.Config()
gateway = inferform.Gateway("gateway", port=settings.get_int("port") or 8071)
chat = inferform.ModelService(
    "chat",
    state=gateway.state,
    endpoint=gateway.endpoint,
    model=settings.get("model") or "SmolLM2-135M-Instruct",
    replicas={"min": 1, "max": 2},
)
pulumi.export("endpoint", chat.endpoint)
pulumi.export("token", chat.token)
