"""What the exam found as Gradescope's results.json: a test a property, a point each.

Source: Gradescope's autograder specification, "Output format".
"""

from collections.abc import Mapping
from typing import Any

from scratchproof.report.points import Credit, credits, total
from scratchproof.report.text import block, plain

CONSEQUENCE = (
    "A point for each property of each layer. Every layer is fed reference inputs, whatever the layers before it"
    " gave, so a mistake is paid for once: what comes after it keeps its points."
)


def gradescope(document: Mapping[str, Any]) -> dict[str, Any]:
    """The content of results.json. Everything in it is plain text: nothing is asked to be rendered.

    The layers asked for by name are what is marked; where none was, those that are there (then what there is to earn
    depends on the submission: an assignment names its layers).
    """
    found = credits(document)
    points, of = total(found)
    return {
        "extra_data": {"format": "scratchproof-gradescope", "version": 1, "seed": document["seed"], "points": of},
        "score": points,
        "output": CONSEQUENCE if found else "There is nothing to mark: no layer was found under a name of CS231n's.",
        "output_format": "text",
        "test_output_format": "text",
        "test_name_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": [_test(credit) for credit in found],
    }


def _test(credit: Credit) -> dict[str, Any]:
    return {
        "score": int(credit.earned),
        "max_score": 1,
        "status": "passed" if credit.earned else "failed",
        "name": plain(f"{credit.layer}: {credit.what}"),
        "output": block("\n".join([credit.meaning, *credit.messages]).strip()),
        "tags": [plain(credit.layer)],
        "visibility": "visible",
    }
