"""A server that breaks by script, and judges how a client in any language handles it."""
