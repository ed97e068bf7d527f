"""Extract: a source reads a window and gives raw rows, all text, as RAW_SCHEMA of raw.py.

It knows the configuration of sources, and nothing of services or of what was sent before.
"""
