"""The sections of the settings that can be decided anew; imports nothing, so that --help is quick."""

SECTIONS = ("filter", "judges", "dedup", "screens", "habits")
"""What only decides which of the replies lets a candidate through."""

IN_WORDS = f"{', '.join(SECTIONS[:-1])} and {SECTIONS[-1]}"
"""The same for people."""
