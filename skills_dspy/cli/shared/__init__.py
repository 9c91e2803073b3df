"""What commands share: options, arguments, the environment of the process, and who is asked."""
