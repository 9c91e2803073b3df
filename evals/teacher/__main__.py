"""`python -m evals.teacher`: start the simulated teacher."""

from evals.teacher.serve import main

if __name__ == "__main__":
    main()
