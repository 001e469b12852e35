"""Live monitoring: cameras, their live view and archives, and the analysis of every archive."""
