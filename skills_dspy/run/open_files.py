"""Room for the files that many tasks have open at once: asked of the system before anything else is."""

from skills_dspy.base.errors import RequestError

PER_TASK = 12
"""Files of one task: lock, rows, rejections, a journal and its log for writing and for reading; in a replay the recording."""
OTHERS = 128
"""What a run has open besides, connections left out: libraries, the embedding model's weights, the terminal."""


def make_room(tasks: int, concurrency: int) -> None:
    """Raise the number of files that the process may have open, where it is too low and the system allows more.

    Raises:
        RequestError: the system does not allow enough; says how many and what to do.
    """
    try:
        import resource
    except ImportError:  # Windows, where there is no such limit
        return
    wanted = tasks * PER_TASK + 2 * concurrency + OTHERS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        fitting = max(1, (hard - 2 * concurrency - OTHERS) // PER_TASK)
        raise RequestError(
            f"{tasks} tasks at once may have {wanted} files open, and this system allows {hard}: give at most {fitting} tasks "
            "to one run, or have the limit raised (ulimit -Hn shows it)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
