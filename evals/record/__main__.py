"""`python -m evals.record`."""

from evals.record.record import main

if __name__ == "__main__":
    main()
