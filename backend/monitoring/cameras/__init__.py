"""The cameras: what they are, whether they run, and what their source turned out to be."""
