"""The rules by which a job that failed for good finds its dead-letter queue: the first that fits wins."""

import pytest

from jobs.letters import Ended, LetterRule, names_of, route
from jobs.rules import QueueRules

ENDED = Ended("charges", "charge", "acme", ("PaymentRefused", "ValueError", "Exception"), "exhausted", 3)


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        (LetterRule("x"), True),
        (LetterRule("x", queues=("charges",)), True),
        (LetterRule("x", queues=("letters",)), False),
        (LetterRule("x", actors=("refund", "char*")), True),
        (LetterRule("x", tenants=("acme",)), True),
        (LetterRule("x", tenants=("",)), False),
        (LetterRule("x", errors=("ValueError",)), True),  # what it derives from
        (LetterRule("x", errors=("Value",)), False),
        (LetterRule("x", codes=("timeout",)), False),
        (LetterRule("x", attempts=3), True),
        (LetterRule("x", attempts=4), False),
        (LetterRule("x", actors=("charge",), codes=("timeout",)), False),  # all that is given must fit
    ],
)
def test_a_rule_fits_when_all_that_it_says_is_so(rule: LetterRule, fits: bool) -> None:
    assert route([rule], ENDED, "dead-letter") == ("x" if fits else "dead-letter")


def test_the_first_rule_that_fits_wins() -> None:
    rules = (LetterRule("third", attempts=9), LetterRule("first"), LetterRule("second"))
    assert QueueRules(letters=rules).dead_letter_of(ENDED) == "first"
    assert QueueRules(dead_letter="own").dead_letter_of(ENDED) == "own"


def test_what_its_workers_died_of_is_a_kind_of_its_own() -> None:
    rules = (LetterRule("deadly", codes=("lost_lease",), actors=("charge",)),)
    assert route(rules, Ended.lost("charges", "charge", ""), "dead-letter") == "deadly"
    assert route(rules, ENDED, "dead-letter") == "dead-letter"


def test_an_exception_is_called_by_its_class_and_by_those_above_it() -> None:
    assert names_of(KeyError("x")) == ("KeyError", "LookupError", "Exception", "BaseException")
