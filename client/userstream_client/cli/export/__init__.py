"""`userstream export`: all users into one verified file."""

from userstream_client.cli.export.command import export

__all__ = ["export"]
