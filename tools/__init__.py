"""What sets a machine up: pinned tools built from Go modules, the virtual environment, scripted Pulumi runs.

Standard library only, for these modules run before anything is installed.
"""
