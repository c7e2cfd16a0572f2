"""A result that another thread works out, and its errors."""

from __future__ import annotations

from threading import Event

import pytest

from reconciler.meanwhile import Meanwhile


def test_the_result_is_there_before_it_rings() -> None:
    gate, rung = Event(), Event()
    meanwhile = Meanwhile(lambda: gate.wait(60), ring=rung.set)
    before = meanwhile.is_done
    gate.set()
    assert rung.wait(60)
    assert (before, meanwhile.is_done) == (False, True)
    assert meanwhile.result()


def test_an_error_that_nobody_thought_of_is_raised_where_the_result_is_wanted() -> None:
    def broken() -> None:
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError, match="a bug"):
        Meanwhile(broken).result()
