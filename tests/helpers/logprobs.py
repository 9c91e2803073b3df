"""Log-probabilities for a reply, as Ollama would write them: invented, like the reply itself."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

Label = int | str

_TOKEN = re.compile(r"\s?\w+|\s?[^\w\s]|\s")
_SURE = {"logprob": 0.0}


def spell(text: str, distributions: Mapping[str, Mapping[Label, float]]) -> list[dict[str, Any]]:
    """A reply's tokens with log-probabilities, in which the labels of some fields have given probabilities.

    Tokens are words and marks with the blank before them; a label is one token, for instance ` 3` or `very easy`, so that no
    two labels begin alike (with a real tokenizer they may). All tokens but the labels have the probability 1.

    Args:
        text: the reply, one JSON object as json.dumps writes it.
        distributions: field to label to probability, 0 to 1; what they lack of 1 is on tokens that are not told. The label
            that stands in the reply has some.

    Returns:
        For each token `token`, `logprob` and `top_logprobs`, the most probable first; the tokens joined are the text.
    """
    reply = json.loads(text)
    assert json.dumps(reply, ensure_ascii=False) == text
    told: list[dict[str, Any]] = []
    mark = "{"
    for key, value in reply.items():
        told += _sure(f"{mark}{json.dumps(key, ensure_ascii=False)}:")
        mark = ", "
        if key not in distributions:
            told += _sure(" " + json.dumps(value, ensure_ascii=False))
            continue
        words = isinstance(value, str)
        blank = "" if words else " "
        told += _sure(' "') if words else []
        told.append(_label(value, distributions[key], blank))
        told += _sure('"') if words else []
    return told + _sure("}" if reply else text)


def _sure(text: str) -> list[dict[str, Any]]:
    return [{"token": token, **_SURE, "top_logprobs": [{"token": token, **_SURE}]} for token in _TOKEN.findall(text)]


def _label(chosen: Label, distribution: Mapping[Label, float], blank: str) -> dict[str, Any]:
    by_share = sorted(distribution.items(), key=lambda item: -item[1])
    told = [{"token": f"{blank}{label}", "logprob": min(0.0, math.log(share))} for label, share in by_share if share > 0]
    own = next(entry for entry in told if entry["token"] == f"{blank}{chosen}")
    return {**own, "top_logprobs": told}
