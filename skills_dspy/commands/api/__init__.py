"""`run`, `check`, `export`, `load_run` from Python, and what the command line shares with them; nothing here prints."""
