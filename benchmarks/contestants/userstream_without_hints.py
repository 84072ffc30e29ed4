"""userstream-server that leaves gRPC's private functions alone, so that small messages leave one by one."""

from userstream_server import grpc_internals

grpc_internals.pass_on_hints = lambda: None

# Only now, because the server takes the function by its name.
from userstream_server.__main__ import main  # noqa: E402

if __name__ == "__main__":
    main()
