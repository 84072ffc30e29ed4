"""userstream's server: rows of `user_data` from a database to gRPC streams.

The path of a row: `databases` reads it, `rows.keyset` asks for the next ones, `rows.generators` hands them
out, `rpc.messages` adds token and receipt, `rpc.service` yields the message. docs/architecture.md has the map.
"""
