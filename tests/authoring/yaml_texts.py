"""Draws YAML as people write it: nested values in any style, with comments wherever a line ends or begins."""

from __future__ import annotations

import json

from hypothesis import strategies as st

WORDS = st.sampled_from(
    [
        "alice",
        "yes",
        "no",
        "n",
        "007",
        "1",
        "1.50",
        "0x10",
        "00:30:00",
        "2024-01-01",
        "null",
        "~",
        "True",
        "a b",
        "127.0.0.1:993",
        "[::1]:993",
        "36MB",
        "a#b",
        "a: b",
        "- x",
        "it's",
        'say "x"',
        "${site}",
        "*",
        "",
        " pad ",
        "%x",
        "@at",
        "`tick",
        "é",
        "a, b",
        "{x}",
        "1_000",
        "1e3",
        ".5",
        "0o17",
        "<<",
        "=",
        "!t",
        "&a",
        "|",
        ">",
        "?",
        ":",
        "#",
    ]
)
KEYS = st.sampled_from(
    [
        "apiVersion",
        "kind",
        "metadata",
        "spec",
        "lifecycle",
        "name",
        "bindings",
        "on",
        "1",
        "quoted key",
        "x-y",
    ]
)
COMMENTS = st.sampled_from(["# why", "#", "# a: b", "# - 'x", "#!bang", "# é # twice"])
_PLAIN = st.sampled_from(
    [
        "alice",
        "yes",
        "007",
        "1",
        "1.50",
        "0x10",
        "00:30:00",
        "~",
        "null",
        "True",
        "36MB",
        "a b",
        "x#y",
        "127.0.0.1:993",
    ]
)


def _quoted(text: str) -> st.SearchStrategy[str]:
    return st.sampled_from([json.dumps(text, ensure_ascii=False), "'" + text.replace("'", "''") + "'"])


SCALARS = st.one_of(_PLAIN, WORDS.flatmap(_quoted))
FLOWS = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)}]"),
        st.lists(st.tuples(KEYS, inner), max_size=3, unique_by=lambda row: row[0]).map(
            lambda rows: "{" + ", ".join(f"{key}: {value}" for key, value in rows) + "}"
        ),
    ),
    max_leaves=6,
)


@st.composite
def blocks(draw: st.DrawFn, depth: int = 0, step: int = 2) -> list[str]:
    """The lines of a mapping in block style, not indented."""
    lines: list[str] = []
    for key in draw(st.lists(KEYS, min_size=1, max_size=4, unique=True)):
        lines += draw(_comment_lines())
        name = draw(st.sampled_from([key, json.dumps(key)]))
        shape = draw(st.sampled_from(["flow", "flow", "empty", "map", "list", "literal", "folded"]))
        if depth >= 2 or shape == "flow":
            lines.append(f"{name}: {draw(FLOWS)}{draw(_tail())}")
        elif shape == "empty":
            lines.append(f"{name}:{draw(_tail())}")
        elif shape == "map":
            inner = draw(blocks(depth + 1, step))
            lines += [f"{name}:{draw(_tail())}", *_indented(inner, step)]
        elif shape == "list":
            lines += [
                f"{name}:{draw(_tail())}",
                *_indented(draw(_items(depth, step)), draw(st.sampled_from([0, step]))),
            ]
        else:
            lines.append(
                f"{name}: {'|' if shape == 'literal' else '>'}{draw(st.sampled_from(['', '-', '+']))}"
            )
            lines += _indented(
                draw(st.lists(st.sampled_from(["text", "# no comment", "x: y"]), min_size=1, max_size=3)),
                step,
            )
    return lines


@st.composite
def _items(draw: st.DrawFn, depth: int, step: int) -> list[str]:
    lines: list[str] = []
    for _ in range(draw(st.integers(1, 3))):
        lines += draw(_comment_lines())
        if draw(st.booleans()):
            first, *others = _bare(draw(blocks(depth + 1, step)))
            lines += [f"- {first}", *_indented(others, 2)]
        else:
            lines.append(f"- {draw(FLOWS)}{draw(_tail())}")
    return lines


def _bare(lines: list[str]) -> list[str]:
    """Without the comments in front: what follows a dash is a key."""
    while lines[0].startswith("#") or not lines[0].strip():
        lines = lines[1:]
    return lines


def _indented(lines: list[str], by: int) -> list[str]:
    return [" " * by + line if line else line for line in lines]


def _tail() -> st.SearchStrategy[str]:
    return st.one_of(st.just(""), st.just(""), COMMENTS.map(lambda text: f"  {text}"))


def _comment_lines() -> st.SearchStrategy[list[str]]:
    return st.lists(st.one_of(COMMENTS, st.just("")), max_size=2)


@st.composite
def files(draw: st.DrawFn) -> str:
    """A file of one to three documents."""
    step = draw(st.sampled_from([2, 4, 3]))
    documents = ["\n".join(draw(blocks(0, step))) for _ in range(draw(st.integers(1, 3)))]
    head = draw(st.sampled_from(["", "---\n", "# head\n---\n", "# head\n"]))
    marker = draw(st.sampled_from(["---", "--- # here", "# between\n---"]))
    return head + f"\n{marker}\n".join(documents) + draw(st.sampled_from(["", "\n", "\n# end\n", "\n...\n"]))
