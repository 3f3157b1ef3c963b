"""The package schema, from which SDKs of every language are generated, passes Pulumi's own check."""
