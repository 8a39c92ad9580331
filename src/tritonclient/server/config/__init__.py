"""Model configurations: read, completed and checked as Triton does.

Imports nothing else of the server but `extras`.
"""
