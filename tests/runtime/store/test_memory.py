"""What is kept in memory: flags, lists of messages, caches."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from runtime.store.caches import RecentlyUsed, SummaryCache
from runtime.store.flags import changed_text, flag_text, is_unseen
from runtime.store.interface import Summary
from runtime.store.message_list import MessageList


def summary(uid: int, size: int = 1000) -> Summary:
    return Summary(uid, size, datetime(2024, 1, 1, tzinfo=UTC), 1, b"e" * size, b"", b"")


def test_equal_sets_of_flags_are_equal_text() -> None:
    assert flag_text(["b", "\\SEEN", "A", "\\draft", "$mdnsent"]) == "\\Seen \\Draft $MDNSent A b"
    assert (
        flag_text(["A", "b", "$MDNSent", "\\Draft", "\\Seen", "\\seen", "a"]) == "\\Seen \\Draft $MDNSent A b"
    )


def test_adding_keeps_the_spelling_that_is_there() -> None:
    assert changed_text("Work", "add", "WORK") == "Work"


def test_unseen_is_without_seen() -> None:
    assert is_unseen("\\Flagged seen")
    assert not is_unseen("\\Seen")


@given(
    st.sets(st.integers(1, 60)),
    st.lists(st.lists(st.integers(1, 60), max_size=30).map(lambda uids: sorted(set(uids)))),
)
def test_a_message_list_is_a_sorted_map(uids: set[int], removals: list[list[int]]) -> None:
    model = {uid: f"k{uid % 3}" for uid in sorted(uids)}
    messages = MessageList(model.items())
    for gone in removals:
        messages.remove(gone)
        model = {uid: text for uid, text in model.items() if uid not in gone}
        messages.add([200 + len(model)] if not model else [max(model) + 1], ["\\Seen"])
        model[200 if not model else max(model) + 1] = "\\Seen"
        assert list(messages.uids) == list(model)
        for uid in range(70):
            number = messages.flag_number(uid)
            found = None if number is None else messages.table.rendered(number).decode()
            assert found == model.get(uid)


def test_removing_from_a_list_changes_the_live_view() -> None:
    messages = MessageList((uid, "") for uid in range(1, 101))
    view = messages.uids
    messages.remove(range(1, 91))
    assert list(view) == list(range(91, 101))


def test_summaries_of_other_folders_go_first() -> None:
    cache = SummaryCache(10_000)
    cache.add(1, [summary(uid) for uid in range(4)])
    cache.add(2, [summary(uid) for uid in range(4)])
    assert (len(cache.of_folder(1)), len(cache.of_folder(2))) == (0, 4)


def test_summaries_stay_within_the_budget() -> None:
    cache = SummaryCache(10_000)
    cache.add(1, [summary(uid) for uid in range(100)])
    assert list(cache.of_folder(1)) == [94, 95, 96, 97, 98, 99]
    cache.drop(1, 94)
    cache.drop(1, 94)
    cache.add(1, [summary(100)])
    assert len(cache.of_folder(1)) == 6
    cache.drop_folder(1)
    cache.add(2, [summary(uid) for uid in range(6)])
    assert len(cache.of_folder(2)) == 6


def test_the_least_recently_used_goes_first() -> None:
    cache: RecentlyUsed[str] = RecentlyUsed(3)
    for key in (1, 2, 3):
        cache.put((0, key), str(key), 1)
    assert cache.get((0, 1)) == "1"
    cache.put((0, 4), "4", 1)
    assert [cache.get((0, key)) for key in (1, 2, 3, 4)] == ["1", None, "3", "4"]


def test_what_is_larger_than_the_budget_is_not_kept() -> None:
    cache: RecentlyUsed[str] = RecentlyUsed(3)
    cache.put((0, 1), "large", 4)
    assert cache.get((0, 1)) is None
