from __future__ import annotations

import pytest

from reconciler.guardrails.cel import CelSyntaxError, CelValueError, Variables, compile_expression

NAMES = frozenset({"resource", "now"})


def value(expression_text: str, /, **resource: object) -> object:
    expression = compile_expression(expression_text, NAMES, is_condition=False)
    return expression.value(Variables({"resource": lambda: resource, "now": lambda: None}))


def syntax_error(text: str, *, is_condition: bool = True) -> CelSyntaxError:
    with pytest.raises(CelSyntaxError) as caught:
        compile_expression(text, NAMES, is_condition=is_condition)
    return caught.value


def test_only_what_is_mentioned_is_made() -> None:
    expression = compile_expression('resource.kind == "now"', NAMES, is_condition=True)
    assert expression.mentions == {"resource"}
    assert expression.is_true(Variables({"resource": lambda: {"kind": "now"}}))


def test_a_variable_is_made_once() -> None:
    made: list[dict[str, int]] = []

    def resource() -> dict[str, int]:
        made.append({"n": 1})
        return made[-1]

    variables = Variables({"resource": resource})
    for text in ("resource.n == 1", "resource.n > 0"):
        assert compile_expression(text, NAMES, is_condition=True).is_true(variables)
    assert len(made) == 1


def test_a_syntax_error_has_a_place() -> None:
    found = syntax_error("resource.kind ==\n  == 1")
    assert (found.line, found.column) == (2, 3)


def test_an_unknown_variable_is_told_with_a_guess() -> None:
    found = syntax_error('resorce.kind == "x"')
    assert (str(found), found.hint) == ('unknown name "resorce"', "did you mean resource?")


def test_a_condition_is_true_or_false() -> None:
    assert str(syntax_error("1 + 1")) == "expected an expression that is true or false, this is an int"


def test_types_are_checked_before_anything_is_evaluated() -> None:
    assert "no matching overload" in str(syntax_error('1 + "a" == 2'))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("resource.missing", 'there is no "missing"'),
        ('resource.n > "x"', "No matching overloads found"),
        ("1 / 0 == resource.n", "divide by zero"),
        ("limit(resource.text)", 'limit: expected a number, a size or Unlimited, got "much"'),
        ("span(resource.text)", 'span: expected a duration such as "00:30:00" or "30d", got "much"'),
        ("addresses(resource.text)", 'addresses: expected a range such as "192.0.2.0/24", got "much"'),
    ],
)
def test_an_evaluation_that_fails_says_why(text: str, message: str) -> None:
    with pytest.raises(CelValueError, match=message.replace("(", r"\(")):
        value(text, n=1, text="much")


def test_a_dynamic_condition_must_come_to_true_or_false() -> None:
    with pytest.raises(CelValueError, match="expected true or false, got 1"):
        compile_expression("resource.n", NAMES, is_condition=True).is_true(
            Variables({"resource": lambda: {"n": 1}})
        )


def test_no_expression_runs_without_end() -> None:
    with pytest.raises(CelValueError, match="more than 10,000 items"):
        value("resource.list.exists(one, resource.list.exists(other, other == -1))", list=list(range(200)))


@pytest.mark.parametrize(
    "text",
    [
        "(" * 200 + "true" + ")" * 200,
        "[1].all(x, " * 100 + "true" + ")" * 100,
        "true" + " && true" * 20000,
        "'\ud800'",
    ],
    ids=["parentheses", "macros", "long", "surrogate"],
)
def test_what_is_beyond_its_limits_is_refused(text: str) -> None:
    syntax_error(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('limit("36MB")', 36 * 1024 * 1024),
        ("limit(7)", 7),
        ('limit("Unlimited") > limit("8000000TB")', True),
        ("limit(null) == limit('Unlimited')", True),
        ('span("00:30:00") == span("30m")', True),
        ('span("30d") > duration("719h")', True),
        ('covers("ex01.contoso.example", "EX01.contoso.example")', True),
        ('covers("*.contoso.example", "ex01.contoso.example")', True),
        ('covers("*.contoso.example", "a.ex01.contoso.example")', False),
        ('covers("*.contoso.example", "contoso.example")', False),
        ('addresses("192.0.2.0/24")', 256),
        ('addresses("::/0") == limit("Unlimited")', True),
        ('addresses(["192.0.2.0/24", "198.51.100.7", "2001:db8::/120"])', 513),
        ('addresses(["192.0.2.0/24", "192.0.2.128/25", "192.0.2.250-192.0.3.3", "192.0.2.7"])', 260),
        ('addresses(["0.0.0.0/0", "::/120"])', 2**32 + 256),
        ("addresses([])", 0),
        ('"EX01".lowerAscii()', "ex01"),
    ],
)
def test_functions(text: str, expected: object) -> None:
    assert value(text) == expected
