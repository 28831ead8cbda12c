"""The HTTP face of Sluice: content types, people's identity, problems. It computes no number.

What a query or a view is lives in the query-engine; this package translates between HTTP and gRPC.
"""
