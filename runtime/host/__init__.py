"""The local target's supervisor: desired state in SQLite becomes processes. Note: docs/designs/local-target.md"""
