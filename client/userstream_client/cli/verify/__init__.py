"""`userstream verify`: whether an export is what the table, or its manifest, says."""

from userstream_client.cli.verify.command import EXAMPLES, verify

__all__ = ["EXAMPLES", "verify"]
