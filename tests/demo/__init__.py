"""Mirrors demo/."""
