"""PostgreSQL with pgvector as a search engine: vectors, filters, generations and exact BM25 in SQL.

A collection is one schema on every node, named by a hash of its id. Its rows are divided over
the nodes by row number; a question asks all of them at once, each gives its own best k, and the
best of these are the answer. A node that is away is an error. Nothing here is the truth: every
schema can be dropped, and is fed again.
"""
