"""`python -m skills_dspy`: starts the command line and turns what it raises into a sentence and an exit code."""

import os
import sys


def main() -> None:
    """Run the command line and leave with its exit code."""
    if sys.platform == "darwin":
        # torch and other native libraries each bring an OpenMP runtime there, and crash together with more threads.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    open_closed()
    from skills_dspy.cli.main import INTERRUPTED, start
    from skills_dspy.cli.terminal.streams import know_all_letters, show_bug

    for stream in (sys.stdout, sys.stderr):
        know_all_letters(stream)
    sys.excepthook = show_bug
    code = start(sys.argv[1:])
    if code == INTERRUPTED:
        # A thread may be in the middle of importing torch, which cannot be interrupted; everything is on disk already.
        os._exit(code)
    sys.exit(code)


def open_closed() -> None:
    """Put nothing in the place of streams that whoever started us has closed, before a file of ours gets their numbers.

    Native libraries print to numbers 1 and 2, whatever they lead to.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), "w" if number else "r"))


if __name__ == "__main__":
    main()
