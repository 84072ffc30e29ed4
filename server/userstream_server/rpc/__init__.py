"""The gRPC service: requests in, messages out, and the server around it."""
