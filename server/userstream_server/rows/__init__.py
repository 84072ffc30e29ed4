"""Reading `user_data`: the four generators, keyset pagination, SQL, and the wire encoding of users."""
