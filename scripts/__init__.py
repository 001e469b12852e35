"""What `make` runs besides the product itself."""
