"""The pages of the reference, made from the sources at each build, so that they cannot be stale."""
