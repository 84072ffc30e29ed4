"""Sign-in without gRPC: bearer tokens, names in certificates, and TLS files."""
