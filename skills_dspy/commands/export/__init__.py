"""`export`: accepted rows of runs as files that trainers read."""
