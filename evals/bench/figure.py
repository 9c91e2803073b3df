"""One line of the benchmark's table."""

from dataclasses import dataclass

COLUMNS = ("figure", "measured", "wanted", "holds")


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table: what was measured, how it is written, and the most or the least that is wanted of it, if any."""

    name: str
    value: float
    form: str
    most: float | None = None
    least: float | None = None

    def cells(self) -> tuple[str, str, str, str]:
        """What stands below COLUMNS."""
        measured = self.form.format(self.value)
        if self.most is not None:
            return self.name, measured, f"at most {self.form.format(self.most)}", "yes" if self.value <= self.most else "NO"
        if self.least is not None:
            return self.name, measured, f"at least {self.form.format(self.least)}", "yes" if self.value >= self.least else "NO"
        return self.name, measured, "", ""
