"""Promise: with `target.modelCache` a model is fetched once, and every replica reads that copy."""
