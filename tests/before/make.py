"""`python -m tests.before.make` writes what the code does into tests/before/expected.

The files there were made by the code of commit 6418c49 on 2026-11-26, before everything was moved. They are not to be made
anew to hide a change: what a user sees has to stay, so only a change of behaviour that was asked for may change them.
"""

import json
import shutil
import tempfile
from pathlib import Path

from tests.before.doing import EXPECTED, Outcome, content, found, materialize, normal, surroundings
from tests.before.scenarios import SCENARIOS, outcome


def main() -> None:
    """Do all scenarios, and write down what came of them."""
    shutil.rmtree(EXPECTED, ignore_errors=True)
    (EXPECTED / "files").mkdir(parents=True)
    groups: dict[str, dict[str, Outcome]] = {}
    with tempfile.TemporaryDirectory() as name, surroundings(Path(name)):
        materialize(Path.cwd())
        for scenario in SCENARIOS:
            done = outcome(scenario)
            for path in found(scenario.files):
                (EXPECTED / "files" / done["files"][normal(str(path))]).write_bytes(content(path).encode())
            groups.setdefault(scenario.group, {})[scenario.name] = done
    for group, outcomes in groups.items():
        text = json.dumps(outcomes, indent=1, ensure_ascii=False)
        (EXPECTED / f"{group}.json").write_bytes((text + "\n").encode())


if __name__ == "__main__":
    main()
