"""Checks of settings: what they let pass, and what their errors say."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from refine.errors import InputError
from refine.settings_checks import above, at_least, at_most, finite, one_of, within

NAN, INFINITY = float("nan"), float("inf")


def test_values_at_the_bounds_pass() -> None:
    one_of("a", "x", ("x", "y"))
    finite("a", -1e300)
    at_least("a", 0, 0)
    at_most("a", 10, 10)
    above("a", 1e-9, 0)
    within("a", 0, 0, 14)
    within("a", 14, 0, 14)


@pytest.mark.parametrize(
    ("check", "arguments", "message"),
    [
        (one_of, ("z", ("x", "y")), "setting stage.a = 'z' is unknown. Use one of x, y"),
        (finite, (INFINITY,), "setting stage.a = inf must be a finite number"),
        (at_least, (-1, 0), "setting stage.a = -1 must be a number of at least 0"),
        (at_least, (NAN, 0), "setting stage.a = nan must be a number of at least 0"),
        (at_least, (INFINITY, 0), "setting stage.a = inf must be a number of at least 0"),
        (at_least, (-(10**400), 0), f"setting stage.a = {-(10**400)} must be a number of at least 0"),
        (at_most, (11, 10), "setting stage.a = 11 must be a number of at most 10"),
        (above, (0.0, 0), "setting stage.a = 0.0 must be a number above 0"),
        (within, (15, 0, 14), "setting stage.a = 15 must be a number from 0 to 14"),
        (within, (NAN, 0, 1), "setting stage.a = nan must be a number from 0 to 1"),
    ],
)
def test_errors_say_which_setting_what_it_is_and_what_it_may_be(
    check: Callable[..., None], arguments: tuple[object, ...], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        check("stage.a", *arguments)
    assert str(caught.value) == message
