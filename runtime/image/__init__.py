"""The container image of a method: what goes in (`recipe`), how it is made (`build`). Note: docs/image.md

python -m runtime.image --method standard --push registry.example/team/inferform
"""
