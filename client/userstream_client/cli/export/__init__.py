"""`userstream export`: all users into one verified file."""

from userstream_client.cli.export.command import ExportFormat, export

__all__ = ["ExportFormat", "export"]
