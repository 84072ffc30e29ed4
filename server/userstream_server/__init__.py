"""userstream's server: rows of `user_data` from a database to gRPC streams.

The path of a row: `db.mysql` or `db.sqlite` reads it, `db.chunks` asks for the next ones,
`rows.generators` hands it out one by one, in batches or in pages, `rows.encoding` writes its bytes, `pack` fills
messages, `service` yields them.
"""
