"""What ``python -m numconv`` does: the demo, the filter command, and the files they read and write. Private."""
