"""Jobs: requests in execution, and the values that everything which executes shares.

May import `config.specification` and nothing else of the server.
"""
