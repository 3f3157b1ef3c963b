"""Promise: kill anything at any moment; the next pulumi up, a reverted file or destroy puts it right."""
