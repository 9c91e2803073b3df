"""What the code did before it was moved: recorded by make.py, compared by test_before.py, by the command line alone."""
