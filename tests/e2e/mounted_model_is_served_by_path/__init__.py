"""Promise: a model mounted at /model_dir is served by that path, as on EAS; changed content is a new version."""
