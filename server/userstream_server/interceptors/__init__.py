"""What surrounds every call: logging, errors, authentication and limits, one file each."""
