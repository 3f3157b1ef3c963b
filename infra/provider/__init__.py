"""The Pulumi plugin `pulumi-resource-inferform`: its custom resources, and the components hosted."""


def main() -> None:
    """Serve as a plugin (console script)."""
    from infra.provider.serve import main as serve  # late: importing a handler must not pull the server in

    serve()
