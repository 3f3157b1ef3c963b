"""Documents -> passages -> vectors -> context: what a service with `langchain: true` answers from.

reader.py reads a file's text in a process of its own, splitter.py cuts it into passages, embedding.py turns them into
vectors, store.py keeps both in SQLite, base.py is the whole as the replica uses it.
"""
