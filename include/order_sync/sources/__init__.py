"""Where orders come from. A source reads a window and gives raw rows: all text, as RAW_SCHEMA of raw.py."""
