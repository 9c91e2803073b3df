"""The steps that labelled cases exist for, with the scale of each: the four judges and the two tags that filter."""

from collections.abc import Mapping

from skills_dspy.base.config import RunConfig
from skills_dspy.base.scales import Label, Scale
from skills_dspy.model.steps import STEPS

__all__ = ["SCALES", "Label", "Scale", "passing"]

SCALES: Mapping[str, Scale] = {
    name: step.filter
    for name, step in sorted(STEPS.items(), key=lambda entry: entry[1].role == "tagger")
    if step.filter is not None and step.tagging != "fused"
}
"""Step to the scale that it rates on, the judges before the taggers."""


def passing(step: str, config: RunConfig) -> tuple[Label, ...]:
    """The labels of a step that let a candidate pass under a configuration, in the scale's order; KeyError for other steps."""
    return STEPS[step].passing(config)
