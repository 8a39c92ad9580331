"""Instances of Python models in processes of their own.

The server has `instance` (an instance and its restarts), `launch` (the process), `template` (what
the process is forked from) and `dispatcher` (messages to requests). The process has `start`,
`worker` and `remote_host`. `channel`, `memory` and `messages` are for both. Only `start` may be
executed before the package can be imported.
"""
