"""Creating and filling `user_data`: from a CSV file, the sample, or made-up users."""
