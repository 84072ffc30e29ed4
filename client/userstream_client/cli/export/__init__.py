"""`userstream export`: all users into one verified file."""

from userstream_client.cli.export.command import EXAMPLES, export

__all__ = ["EXAMPLES", "export"]
