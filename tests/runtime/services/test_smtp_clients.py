"""The standard library's client against both services, on both loops: submit, receive, TLS verified."""

from __future__ import annotations

from pathlib import Path

from tests.runtime.aio import on_both_loops, run
from tests.runtime.services.smtp_estate import MESSAGE, estate, using


@on_both_loops
def test_an_anonymous_client_delivers_to_an_accepted_domain(tmp_path: Path, loop: str) -> None:
    async def story() -> None:
        async with estate(tmp_path) as running:

            def submit() -> None:
                with running.smtp() as client:
                    client.sendmail("carol@fabrikam.example", ["alice@contoso.example"], MESSAGE)

            await using(submit)
            (content,) = await running.inbox()
            assert content.startswith(b"Return-Path: <carol@fabrikam.example>\r\nReceived: from ")
            assert content.endswith(MESSAGE)

    run(story(), loop)


@on_both_loops
def test_a_user_submits_inside_tls(tmp_path: Path, loop: str) -> None:
    async def story() -> None:
        async with estate(tmp_path) as running:

            def submit() -> None:
                with running.log_on("alice") as client:
                    client.sendmail(
                        "alice@contoso.example", ["bob@contoso.example"], b"Subject: hi\r\n\r\nx\r\n"
                    )

            await using(submit)
            (content,) = await running.inbox("bob")
            assert b"with ESMTPSA id " in content
            assert b"\r\nMessage-ID: <" in content
            assert b"\r\nDate: " in content

    run(story(), loop)
