"""Reading `user_data`: the generators in `users`, over keyset chunks, over MySQL or SQLite."""
