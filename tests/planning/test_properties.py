"""What holds for every estate: equal is empty, applying a plan leaves nothing to plan, and a difference leads from the
one to the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue, ValidationError

from reconciler.model import Action, Key, LiveState, Position, Present, Resource
from reconciler.planning import make_plan, spec_to_write
from reconciler.planning.diff import change_of
from schemas.v1.base import Spec
from schemas.v1.codec import dump_spec, parse_spec
from schemas.v1.facts import fields
from schemas.v1.kinds import KINDS
from tests.planning.builders import FILE, desired, live, resource, server
from tests.schemas.building import data
from tests.schemas.values import TEXTS, VALUES_OF_ANY_KIND, put

STARTUP = st.sampled_from(["Automatic", "Manual", "Disabled"])
IMAP_FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "maxConnectionsPerUser": st.integers(1, 2147483647),
        "banner": st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
        "authenticatedConnectionTimeout": st.sampled_from(["00:30:00", "30m", "1h", "1.00:00:00"]),
        "loginType": st.sampled_from(["SecureLogin", "PlainTextLogin"]),
        "sslBindings": st.lists(
            st.sampled_from(["127.0.0.1:10993", "[::1]:993", "0.0.0.0:993"]), unique=True
        ),
    },
)
MAILBOX_FIELDS = st.fixed_dictionaries(
    {"database": st.just("db01"), "primarySmtpAddress": st.just("alice@contoso.example")},
    optional={
        "emailAddresses": st.lists(st.sampled_from(["b@contoso.example", "c@CONTOSO.example"]), max_size=2),
        "imapEnabled": st.booleans(),
        "maxSendSize": st.sampled_from(["36MB", "36 MB", 37748736, "Unlimited"]),
    },
)
PATHS = st.lists(st.sampled_from(["banner", "maxConnectionsPerUser", "loginType"]), unique=True)


@st.composite
def estates(draw: st.DrawFn) -> list[Resource]:
    found = [server("ex01", services={"imap4": {"startupType": draw(STARTUP)}})]
    if draw(st.booleans()):
        found.append(resource("ImapSettings", "ex01", draw(IMAP_FIELDS), ignore=draw(PATHS)))
    if draw(st.booleans()):
        found.append(resource("Mailbox", "alice", draw(MAILBOX_FIELDS)))
    return found


def _applied(declared: Iterable[Resource], state: LiveState) -> LiveState:
    """The live state after every change of the plan was made, as an applier makes them."""
    wanted = desired(*declared)
    resources = dict(state.resources)
    for change in make_plan(wanted, state, digests={}).changes:
        assert change.action is not Action.DELETE
        observed = resources.get(change.key)
        before = observed if isinstance(observed, Present) else live().resources.get(change.key)
        spec = wanted.resources[change.key].spec
        if isinstance(before, Present):
            spec = spec_to_write(wanted.resources[change.key], before)
        resources[change.key] = Present(spec, revision=100)
    return LiveState(resources, {})


@settings(deadline=None, max_examples=60)
@given(estates())
def test_a_plan_of_what_is_live_is_empty(estate: list[Resource]) -> None:
    assert make_plan(desired(*estate), live(*estate), digests={}).is_empty


@settings(deadline=None, max_examples=60)
@given(estates(), estates())
def test_a_plan_after_apply_is_empty(estate: list[Resource], before: list[Resource]) -> None:
    state = _applied(estate, live(*before))
    assert make_plan(desired(*estate), state, digests={}).changes == ()


@settings(deadline=None, max_examples=60)
@given(estates(), estates())
def test_nothing_is_created_before_what_it_may_name(estate: list[Resource], before: list[Resource]) -> None:
    plan = make_plan(desired(*estate), live(*before), digests={})
    ranks = [KINDS[change.key.kind].rank for change in plan.changes]
    assert ranks == sorted(ranks)


@st.composite
def specs(draw: st.DrawFn, kind: str) -> Spec:
    """A valid spec of the kind: its fields at random values, as far as they are taken."""
    values = st.one_of(VALUES_OF_ANY_KIND, st.lists(st.sampled_from(TEXTS), max_size=4, unique=True))
    found = parse_spec(kind, data(kind))
    wanted = draw(st.dictionaries(st.sampled_from(sorted(fields(kind))), values, max_size=6))
    for path, value in wanted.items():
        changed = dump_spec(found)
        put(changed, path, value)
        with suppress(ValidationError):
            found = parse_spec(kind, changed)
    return found


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_the_difference_of_two_applied_to_the_one_gives_the_other(drawn: st.DataObject) -> None:
    kind = drawn.draw(st.sampled_from(sorted(KINDS)))
    one, other = drawn.draw(specs(kind)), drawn.draw(specs(kind))
    change = change_of(
        Resource(Key(kind, "it"), other, {}, (), {"": Position(FILE, 1, 1)}), Present(one, 7), {}
    )
    found = leaves(one)
    for field in change.fields if change else ():
        assert found.pop(field.path, None) == field.old
        if field.new is not None:
            found[field.path] = field.new
    assert found == leaves(other)


def leaves(spec: Spec) -> dict[str, JsonValue]:
    """Every value of a spec by its path; what is null is left out, since a group that is null has nothing in it."""
    return {path: value for path, value in _leaves("", dump_spec(spec)) if value is not None}


def _leaves(path: str, value: JsonValue) -> Iterator[tuple[str, JsonValue]]:
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(f"{path}.{name}" if path else name, inner)
    else:
        yield path, value
