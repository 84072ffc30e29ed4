"""`userstream top`: what a server is doing, live."""

from userstream_client.cli.top.command import EXAMPLES, top

__all__ = ["EXAMPLES", "top"]
