"""One measure a module, each the sub-command of the same name."""
