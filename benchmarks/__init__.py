"""How fast userstream is, beside other servers over the same table: `scripts/bench`."""
