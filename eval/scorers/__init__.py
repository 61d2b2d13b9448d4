"""Pure functions from outputs and labels to numbers, one file per family of metrics."""
