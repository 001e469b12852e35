"""What any server of this shape needs and no product word: database, lifecycle, errors, http."""
