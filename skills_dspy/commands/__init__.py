"""What the other commands do, without the terminal: a folder each."""
