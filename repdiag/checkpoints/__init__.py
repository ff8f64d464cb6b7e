"""Reads anybody's checkpoint without running its code; refuses rather than guesses."""
