"""Patron: the open customer lifetime value platform for online shops."""

__version__ = "0.1.0"
