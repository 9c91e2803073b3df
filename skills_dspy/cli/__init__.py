"""The command line: argv, environment, terminal and exit codes."""
