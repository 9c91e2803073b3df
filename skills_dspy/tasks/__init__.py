"""What a user asks for: task files and taxonomies, read, checked and linted."""
