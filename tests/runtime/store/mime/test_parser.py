"""The MIME parser: structure, offsets, limits, and equality with the standard library's view."""

from __future__ import annotations

import email
import email.message
import email.policy
import mmap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.store.mime import (
    Limits,
    Part,
    parse_message,
    render_bodies,
    render_body,
    render_envelope,
    section,
)


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


MIXED = crlf(
    """Content-Type: multipart/mixed; boundary="outer"

preamble
--outer
Content-Type: multipart/alternative; boundary=inner

--inner

plain
--inner
Content-Type: text/html

<p>html
--inner--
epilogue of inner
--outer
Content-Type: message/rfc822

Subject: forwarded
Content-Type: multipart/mixed; boundary=deep

--deep
Content-Type: image/png

picture
--deep--
--outer--
epilogue
"""
)


def shape(part: Part) -> object:
    name = f"{part.type}/{part.subtype}"
    if part.message is not None:
        return name, [shape(part.message)]
    return (name, [shape(child) for child in part.children]) if part.children else name


def body(data: bytes, *path: int) -> bytes:
    part = section(data, parse_message(data), path)
    assert part is not None
    return data[part.body_start : part.body_end]


def test_nesting_is_found() -> None:
    assert shape(parse_message(MIXED)) == (
        "multipart/mixed",
        [
            ("multipart/alternative", ["text/plain", "text/html"]),
            ("message/rfc822", [("multipart/mixed", ["image/png"])]),
        ],
    )


@pytest.mark.parametrize(
    ("path", "expected"), [((1, 1), b"plain"), ((1, 2), b"<p>html"), ((2, 1), b"picture")]
)
def test_the_line_break_before_a_delimiter_is_the_delimiters(path: tuple[int, ...], expected: bytes) -> None:
    assert body(MIXED, *path) == expected


def test_the_message_inside_starts_where_its_part_has_its_body() -> None:
    part = section(MIXED, parse_message(MIXED), (2,))
    assert part is not None
    assert part.message is not None
    assert part.message.header_start == part.body_start
    assert MIXED[part.body_start :].startswith(b"Subject: forwarded\r\n")


@pytest.mark.parametrize("path", [(3,), (0,), (1, 3), (1, 1, 1), (2, 2), (2, 1, 1), (-1,)])
def test_a_section_that_does_not_exist_is_none(path: tuple[int, ...]) -> None:
    assert section(MIXED, parse_message(MIXED), path) is None


def test_part_1_of_a_plain_message_is_its_body() -> None:
    data = b"Subject: x\r\n\r\nhello\r\n"
    assert body(data, 1) == b"hello\r\n"
    assert section(data, parse_message(data), (1, 1)) is None


def test_an_empty_message_is_empty_text() -> None:
    part = parse_message(b"")
    assert (part.type, part.body_start, part.body_end, part.lines) == ("text", 0, 0, 0)


def test_a_header_without_a_blank_line_has_an_empty_body() -> None:
    data = b"Subject: x\r\n"
    assert body(data, 1) == b""


def test_a_message_that_starts_with_a_blank_line_has_no_header() -> None:
    data = b"\r\nSubject: body\r\n"
    assert body(data, 1) == b"Subject: body\r\n"


def test_a_multipart_without_a_part_is_text() -> None:
    part = parse_message(b"Content-Type: multipart/mixed; boundary=x\r\n\r\nnothing here\r\n")
    assert (part.type, part.subtype, part.children) == ("text", "plain", ())


def test_a_delimiter_ends_a_header_without_blank_line() -> None:
    data = crlf(
        "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/html\n--b\n\nsecond\n--b--\n"
    )
    assert shape(parse_message(data)) == ("multipart/mixed", ["text/html", "text/plain"])
    assert body(data, 2) == b"second"


def test_a_missing_close_delimiter_ends_at_the_end() -> None:
    data = crlf("Content-Type: multipart/mixed; boundary=b\n\n--b\n\nonly\n")
    assert body(data, 1) == b"only\r\n"


def test_an_outer_delimiter_closes_the_inner_multipart() -> None:
    data = crlf(
        "Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/mixed; boundary=i\n\n--i\n\na\n"
        "--o\n\nb\n--o--\n"
    )
    assert shape(parse_message(data)) == (
        "multipart/mixed",
        [("multipart/mixed", ["text/plain"]), "text/plain"],
    )


def test_a_boundary_is_not_a_prefix() -> None:
    data = crlf("Content-Type: multipart/mixed; boundary=b\n\n--b\n\n--bb\n--b-\n--b  \n\nnext\n--b--\n")
    assert body(data, 1) == b"--bb\r\n--b-"


def test_digest_parts_are_messages() -> None:
    data = crlf("Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: one\n\ntext\n--b--\n")
    assert shape(parse_message(data)) == ("multipart/digest", [("message/rfc822", ["text/plain"])])


def test_an_encoded_message_is_opaque() -> None:
    part = parse_message(
        b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: Base64\r\n\r\nU3ViamVjdA==\r\n"
    )
    assert (part.type, part.subtype, part.encoding) == ("application", "octet-stream", b"base64")


def test_bare_line_feeds_are_line_ends_too() -> None:
    data = MIXED.replace(b"\r\n", b"\n")
    assert shape(parse_message(data)) == shape(parse_message(MIXED))
    assert body(data, 1, 1) == b"plain"


def test_a_mapped_file_gives_the_same_tree(tmp_path: Path) -> None:
    path = tmp_path / "message"
    path.write_bytes(MIXED)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        part = parse_message(mapped)
        assert part == parse_message(MIXED)
        assert render_envelope(mapped, part) == render_envelope(MIXED, part)
        assert render_bodies(part, mapped) == render_bodies(part, MIXED)


def nested(levels: int) -> bytes:
    opening = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(levels))
    return crlf(opening + "\ninnermost\n")


def depth_of(part: Part) -> int:
    depth = 0
    while part.children or part.message:
        part = part.children[0] if part.children else part.message or part
        depth += 1
    return depth


def test_what_lies_too_deep_is_text() -> None:
    part = parse_message(nested(2000), limits=Limits(depth=7))
    assert depth_of(part) == 7


def test_messages_in_messages_stop_at_the_depth() -> None:
    part = parse_message(b"Content-Type: message/rfc822\r\n\r\n" * 5000)
    assert depth_of(part) == Limits().depth


def test_parts_beyond_the_limit_belong_to_the_last_one() -> None:
    data = crlf("Content-Type: multipart/mixed; boundary=b\n\n" + "--b\n\nx\n" * 30)
    part = parse_message(data, limits=Limits(parts=6))
    assert len(part.children) == 5
    assert part.children[-1].body_end == len(data)


def test_fields_beyond_the_header_limit_are_not_read() -> None:
    data = b"X: " + b"x" * 100 + b"\r\nContent-Type: text/html\r\n\r\nbody"
    assert parse_message(data, limits=Limits(header=25)).subtype == "plain"
    assert body(data, 1) == b"body"


def test_headers_beyond_the_total_are_not_read() -> None:
    data = crlf("Content-Type: multipart/mixed; boundary=b\n\n" + "--b\nContent-Type: text/html\n\nx\n" * 3)
    part = parse_message(data, limits=Limits(headers=45 + 2 * 28))
    assert shape(part) == ("multipart/mixed", ["text/html", "text/html", "text/plain"])


def test_delimiters_are_found_among_many_lines_that_look_alike() -> None:
    noise = "--\n--bb\n--b-\n--c--\n" * 600
    data = crlf(
        f"Content-Type: multipart/mixed; boundary=b\n\n{noise}--b\nContent-Type: multipart/mixed; boundary=b.\n\n"
        f"--b.\n\n{noise}--b.-- \n{noise}--b\t\n\n{noise}last\n--b--\n{noise}--b\n"
    )
    assert shape(parse_message(data)) == (
        "multipart/mixed",
        [("multipart/mixed", ["text/plain"]), "text/plain"],
    )
    assert body(data, 2).endswith(b"--c--\r\nlast")


def test_parameters_beyond_the_limit_are_dropped() -> None:
    many = "".join(f"; p{n}=v" for n in range(100))
    part = parse_message(crlf(f"Content-Type: text/plain{many}\n\n"), limits=Limits(parameters=25))
    assert len(part.parameters) == 25


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ('text/html; charset="utf-8"', ("text", "html", ((b"charset", b"utf-8"),))),
        ("TEXT/HTML ; CharSet = utf-8 ; x=y", ("text", "html", ((b"charset", b"utf-8"), (b"x", b"y")))),
        (r'text/plain; name="a\"b;c"; x=y', ("text", "plain", ((b"name", b'a"b;c'), (b"x", b"y")))),
        ("text/html (a (nested) comment); charset=utf-8", ("text", "html", ((b"charset", b"utf-8"),))),
        ('text/plain; name="with (no) comment"', ("text", "plain", ((b"name", b"with (no) comment"),))),
        ('text/plain; ; junk; "x"; a=b', ("text", "plain", ((b"a", b"b"),))),
        ("text/plain; filename*0*=utf-8''a; filename*1=b", None),
        ("nonsense", ("text", "plain", ((b"charset", b"us-ascii"),))),
        ("", ("text", "plain", ((b"charset", b"us-ascii"),))),
    ],
)
def test_content_types(value: str, expected: tuple[object, ...] | None) -> None:
    part = parse_message(f"Content-Type: {value}\r\n\r\n".encode())
    if expected is None:  # RFC 2231 is left to clients
        expected = ("text", "plain", ((b"filename*0*", b"utf-8''a"), (b"filename*1", b"b")))
    assert part[:3] == expected


def test_folded_fields_are_unfolded() -> None:
    part = parse_message(b"Content-Type: text/html;\r\n\tcharset=utf-8\r\nSubject: a\r\n b\r\n\r\n")
    assert part.parameters == ((b"charset", b"utf-8"),)
    assert part.fields[b"subject"] == b"a b"


def library_shape(message: object) -> object:
    assert isinstance(message, email.message.Message)
    name = message.get_content_type()
    payload = message.get_payload()
    return (name, [library_shape(part) for part in payload]) if isinstance(payload, list) else name


TEXTS = st.text("ab \n-", max_size=20).filter(lambda text: "--" not in text)
TREES = st.recursive(
    TEXTS,
    lambda inner: st.lists(inner, min_size=1, max_size=4) | inner.map(lambda tree: {"message": tree}),
    max_leaves=8,
)


def compose(tree: object, name: str = "b") -> str:
    if isinstance(tree, dict):
        return "Content-Type: message/rfc822\n\n" + compose(tree["message"], name + "m")
    if isinstance(tree, str):
        return "Content-Type: text/html\n\n" + tree
    assert isinstance(tree, list)
    parts = "".join(f"--{name}\n{compose(part, f'{name}{n}')}\n" for n, part in enumerate(tree))
    return f'Content-Type: multipart/mixed; boundary="{name}"\n\n{parts}--{name}--\n'


@given(TREES)
def test_the_structure_is_the_standard_librarys(tree: object) -> None:
    data = crlf(compose(tree))
    library = email.message_from_bytes(data, policy=email.policy.compat32)
    assert shape(parse_message(data)) == library_shape(library)


PIECES = st.sampled_from(
    [
        b"\r\n",
        b"\n",
        b"\r",
        b"--b",
        b"--b--",
        b"--c",
        b"\r\n\r\n",
        b"Content-Type: multipart/mixed; boundary=b\r\n",
        b'Content-Type: multipart/digest; boundary="c"\r\n',
        b"Content-Type: message/rfc822\r\n",
        b"From: (a (b) <c@d>, e:;@\r\n",
        b"To: ",
        b'"',
        b"\\",
        b"(",
        b"<",
        b";",
        b"Content-Disposition: ",
        b"Content-Language: a, (b), c\r\n",
        b" ",
        b"\0",
        b"\xff",
    ]
)


@given(st.lists(PIECES | st.binary(max_size=8), max_size=40).map(b"".join))
def test_any_octets_give_a_tree_inside_the_message(data: bytes) -> None:
    root = parse_message(data)
    parts = [root]
    for part in parts:
        inner = (*part.children, *([part.message] if part.message else []))
        assert 0 <= part.header_start <= part.body_start <= part.body_end <= len(data)
        assert all(part.body_start <= one.header_start and one.body_end <= part.body_end for one in inner)
        parts.extend(inner)
    assert balanced(render_envelope(data, root))
    assert balanced(render_body(root, data, extended=False))
    assert balanced(render_body(root, data, extended=True))


def balanced(rendered: bytes) -> bool:
    """Read it as IMAP data: strings whole, parentheses paired, no control characters outside literals."""
    at, depth = 0, 0
    while at < len(rendered):
        octet = rendered[at : at + 1]
        if octet == b'"':
            at += 1
            while rendered[at : at + 1] != b'"':
                assert rendered[at] >= 0x20 or rendered[at] == 0x09
                assert rendered[at] < 0x80
                at += 2 if rendered[at : at + 1] == b"\\" else 1
        elif octet == b"{":
            length, _, _ = rendered[at + 1 :].partition(b"}\r\n")
            at += len(length) + 3 + int(length)
        else:
            assert octet.isalnum() or octet in (b" ", b"(", b")")
            depth += {b"(": 1, b")": -1}.get(octet, 0)
        at += 1
    return depth == 0
