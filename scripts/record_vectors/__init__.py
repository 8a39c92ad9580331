"""Record how a real Triton answers every operation of the v2 protocol, over HTTP and gRPC.

Run by hand, `python -m scripts.record_vectors [SUBJECT...]`, when a model or an operation was
added. The requests are written out here, and sent over a plain socket or through grpcio, so that
the recordings owe nothing to the code that is tested with them.
"""
