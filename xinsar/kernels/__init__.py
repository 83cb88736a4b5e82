"""Loops over pixels: arrays in, arrays out. No labels, no chunks, no options objects."""
