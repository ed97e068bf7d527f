"""Whole columns of text and JSON at once, by Arrow's functions.

The ground floor: it may import nothing of this project.
"""
