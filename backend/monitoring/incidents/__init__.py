"""Incidents as rows: what was found, its clip and snapshot, and what a person made of it."""
