"""Older files, rewritten: the same meaning, every comment, and nothing else touched."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.authoring.layout import comments_of
from reconciler.authoring.upgrading import upgrade_text, upgraded
from reconciler.declared.reader import read
from schemas.v1alpha1.upgrade import upgrade

OLD = """\
# The estate of before.
apiVersion: reconciler/v1alpha1
kind: Server
metadata: {name: ex01, labels: {site: dublin}}
spec:
  fqdn: ex01.contoso.example
  # What runs here.
  services:   # as a list
    # The first.
    - name: imap4
      startup: Automatic   # at once
    - {name: pop3, startup: Manual}
---
apiVersion: reconciler/v1alpha1
kind: ImapSettings
metadata: {name: imap}
spec:
  serverLabels: {site: dublin}   # all of them
  # Not too many.
  limits:   # see the wiki
    # Enough for two phones.
    perUser: 32
    perAddress: 200   # behind a gateway
  # After the limits.
  listen:
    tls: ["127.0.0.1:10993"]
    plain: ["127.0.0.1:10143"]
  timeouts: {authenticated: 20m}
  banner: Hi   # hello
"""
NEW = """\
# The estate of before.
apiVersion: reconciler/v1
kind: Server
metadata: {name: ex01, labels: {site: dublin}}
spec:
  fqdn: ex01.contoso.example
  # What runs here.
  services:   # as a list
    # The first.
    imap4:
      startupType: Automatic # at once
    pop3: {startupType: Manual}
---
apiVersion: reconciler/v1
kind: ImapSettings
metadata: {name: imap}
spec:
  servers: {matchLabels: {site: dublin}} # all of them
  # Not too many.
  # see the wiki
  # Enough for two phones.
  maxConnectionsPerUser: 32
  maxConnectionFromSingleIP: 200 # behind a gateway
  # After the limits.
  sslBindings: ["127.0.0.1:10993"]
  unencryptedOrTLSBindings: ["127.0.0.1:10143"]
  authenticatedConnectionTimeout: 20m
  banner: Hi   # hello
"""


def test_an_old_file_becomes_a_new_one_with_its_comments() -> None:
    assert upgrade_text(OLD) == NEW


def test_a_new_file_is_left_as_it_is() -> None:
    odd = "---\n\n" + NEW.replace("{name: imap}", "{ name:   imap }")
    assert upgrade_text(odd) == odd


def test_a_new_document_beside_an_old_one_keeps_its_layout() -> None:
    old, (server, settings) = OLD.split("---\n")[1], NEW.split("---\n")
    odd = server.replace("{name: ex01", "{ name:   ex01")
    assert upgrade_text(f"{odd}---\n{old}") == f"{odd}---\n{settings}"


def test_upgrading_twice_is_upgrading_once() -> None:
    assert upgrade_text(upgrade_text(OLD)) == upgrade_text(OLD)


def test_variables_stay_references() -> None:
    assert "maxConnectionsPerUser: ${limit}" in upgrade_text(OLD.replace("perUser: 32", "perUser: ${limit}"))


def test_what_cannot_be_read_is_told_and_left(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("apiVersion: [")
    (file,) = upgraded([tmp_path])
    assert file.problem is not None
    assert not file.is_changed


_COMMENT = st.sampled_from(["", "  # one", "  # two", "\n  # three", "\n  # four\n  # five"])


@settings(deadline=None)
@given(st.lists(_COMMENT, min_size=8, max_size=8))
def test_no_comment_is_lost_and_the_meaning_stays(comments: list[str]) -> None:
    a, b, c, d, e, f, g, h = comments
    text = (
        f"apiVersion: reconciler/v1alpha1{a.replace('  #', '   #')}\nkind: PopSettings\nmetadata: {{name: pop}}\n"
        f"spec:{b}\n  server: ex01{c}\n  limits:{d}\n    connections: 5{e}\n    perUser: 6{f}\n"
        f"  listen: {{plain: ['127.0.0.1:10110']}}{g}\n  banner: hi{h}\n"
    ).replace("\n  # three", "\n# three")
    after = upgrade_text(text)
    assert Counter(comments_of(after)) == Counter(comments_of(text))
    assert _value(after) == upgrade(_value(text)).document


def _value(text: str) -> Any:
    documents, problems = read(text.encode(), Path("a.yaml"))
    assert not problems
    return documents[0].value


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n---\n", "- a\n", "a: 1\n"])
def test_other_files_are_left_as_they_are(text: str) -> None:
    assert upgrade_text(text) == text
