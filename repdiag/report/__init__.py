"""Puts stored tables and figures on one page."""
