"""The terminal: the one place through which all commands print, so that nothing that others wrote acts on it."""
