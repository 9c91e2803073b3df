"""`python -m evals.readme`."""

from evals.readme.readme import main

if __name__ == "__main__":
    main()
