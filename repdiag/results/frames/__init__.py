"""Tidy tables for the figures, out of stored tables: each function filters, renames and orders rows, no more."""
