"""`run`: all tasks side by side, each from its opening to its end; finished runs as an input."""
