"""The databases that hold `user_data`: addresses, connection pool, table check, MySQL and SQLite."""
