"""Trains one encoder with several heads, and writes the folder that `tilewise compile` takes."""
