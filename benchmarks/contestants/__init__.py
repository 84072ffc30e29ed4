"""The other servers, the readers, and the consumer for where there is no Go."""
