"""The disk: journal, rows, run directories, folders written aside; nothing else writes."""
