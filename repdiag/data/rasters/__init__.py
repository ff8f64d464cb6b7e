"""Pixels that are more than eight bits of red, green and blue: arrays of any depth and number of channels to images."""
