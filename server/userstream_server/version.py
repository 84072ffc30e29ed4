"""What this program calls itself: the package's version, and the service's full name."""

from importlib.metadata import version

__all__ = ["SERVICE_NAME", "VERSION"]

VERSION = version("userstream")
SERVICE_NAME = "userstream.v1.UserService"
"""As the proto has it."""
