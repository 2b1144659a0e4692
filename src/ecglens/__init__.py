"""Read a 12-lead ECG from a picture or a signal."""
