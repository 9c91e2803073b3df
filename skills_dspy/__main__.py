"""`python -m skills_dspy`: starts the command line and turns what it raises into a sentence and an exit code."""

import io
import os
import sys


def main() -> None:
    """Run the command line and leave with its exit code."""
    if sys.platform == "darwin":
        # torch and other native libraries each bring an OpenMP runtime there, and crash together with more threads.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    from skills_dspy.cli.main import INTERRUPTED, start
    from skills_dspy.cli.terminal.streams import show_bug

    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started us
            setattr(sys, name, io.StringIO())
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that knows few letters is no reason to stop
    sys.excepthook = show_bug
    code = start(sys.argv[1:])
    if code == INTERRUPTED:
        # A thread may be in the middle of importing torch, which cannot be interrupted; everything is on disk already.
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
