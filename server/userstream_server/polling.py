"""How gRPC's core waits for its sockets; imported first, because it reads its environment only once, when it loads.

Its newer way (the event engine) hands each message from thread to thread more often than the older one, which costs a
message a third more CPU time: docs/adr/0006-polling.md.
"""

import os

__all__ = ["GRPC_EXPERIMENTS"]

GRPC_EXPERIMENTS = "-event_engine_listener,-event_engine_client"
"""Minus turns one off. Whoever sets the variable for the process decides instead."""

os.environ.setdefault("GRPC_EXPERIMENTS", GRPC_EXPERIMENTS)
