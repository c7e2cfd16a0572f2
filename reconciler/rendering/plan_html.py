"""Plan → one HTML page that needs nothing else: no script, no network, light and dark as the reader's system is.

Every value passes `html.escape` once, and the page forbids itself to load or run anything (Content-Security-Policy).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from reconciler.model import Action, Change, Plan, ServiceAction, ServiceImpact
from reconciler.rendering import plan_words as words
from reconciler.rendering.plan_json import plan_summary, reach_json
from reconciler.rendering.text import place, printable

_CLASSES = {Action.CREATE: "create", Action.UPDATE: "update", Action.DELETE: "delete"}
_ONE = {
    "resources": "resource",
    "servers": "server",
    "services": "service",
    "restarts": "restart",
    "mailboxes": "mailbox",
    "sessions": "session",
}
_OPEN = 20  # so few changes are shown unfolded

_STYLE = """\
:root{color-scheme:light dark;--bg:#fff;--fg:#1c2128;--dim:#5b6572;--line:#d8dee6;--card:#f6f8fa;
--create:#1a7f37;--update:#9a6700;--delete:#cf222e;--note:#0757ba}
@media(prefers-color-scheme:dark){:root{--bg:#0f1319;--fg:#e3e8ee;--dim:#97a3b1;--line:#2d3540;--card:#171d25;
--create:#4ac26b;--update:#d9a72e;--delete:#ff7b72;--note:#6cb2ff}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--fg);font:16px/1.5 system-ui,"DejaVu Sans",sans-serif}
main{max-width:70rem;margin:0 auto;padding:2rem 1.25rem 4rem}
h1{font-size:1.5rem;line-height:1.3;margin:0 0 1rem}
h2{font-size:1.1rem;margin:2.2rem 0 .6rem}
code,td,th.path,.name{font-family:ui-monospace,"DejaVu Sans Mono",monospace;font-size:.9rem}
.reach{display:flex;flex-wrap:wrap;gap:.75rem;margin:0 0 1.25rem;padding:0;list-style:none}
.reach li{flex:1 1 8rem;background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.6rem .9rem}
.reach b{display:block;font-size:1.6rem;line-height:1.2}
.reach span,.where,.note,.why,footer{color:var(--dim)}
.warning{border-left:.3rem solid var(--delete);background:var(--card);margin:.5rem 0;padding:.5rem .9rem}
details{border:1px solid var(--line);border-radius:.5rem;margin:.5rem 0;background:var(--card)}
summary{cursor:pointer;padding:.55rem .9rem;overflow-wrap:anywhere}
summary .where{float:right;font-size:.85rem;padding-left:1rem}
.create .name{color:var(--create)}.update .name{color:var(--update)}.delete .name{color:var(--delete)}
table{width:100%;border-collapse:collapse;background:var(--bg);border-radius:0 0 .5rem .5rem}
td,th{border-top:1px solid var(--line);padding:.35rem .9rem;text-align:left;vertical-align:top;
overflow-wrap:anywhere;font-weight:400}
th.path{width:34%}td.note{width:17%;font-family:inherit;font-size:.85rem}
p.rest{margin:0;padding:.35rem .9rem;color:var(--dim)}
ul.services{list-style:none;padding:0;margin:0}
ul.services>li{border:1px solid var(--line);border-radius:.5rem;background:var(--card);
padding:.5rem .9rem;margin:.5rem 0}
ul.services ul{margin:.2rem 0 0;padding-left:1.2rem}
.verb{display:inline-block;min-width:4.5rem;font-weight:600;color:var(--update)}
.verb.reload,.verb.start{color:var(--note)}.verb.stop{color:var(--delete)}
footer{margin-top:2.5rem;border-top:1px solid var(--line);padding-top:.8rem;font-size:.85rem;overflow-wrap:anywhere}
@media(max-width:40rem){summary .where{float:none;display:block;padding:0}
tr{display:block;border-top:1px solid var(--line);padding:.35rem .9rem}
td,th,th.path,td.note{display:block;width:auto;border:0;padding:0}th.path{color:var(--dim)}}
"""


def render_plan_html(plan: Plan) -> str:
    """The whole page."""
    return "".join(
        f"{line}\n" for line in (*_head(words.headline(plan)), *_body(plan), "</main>", "</body>", "</html>")
    )


def _head(title: str) -> Iterator[str]:
    yield "<!doctype html>"
    yield '<html lang="en">'
    yield "<head>"
    yield '<meta charset="utf-8">'
    yield "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">"
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{escape(title)}</title>"
    yield f"<style>\n{_STYLE}</style>"
    yield "</head>"
    yield "<body>"
    yield "<main>"


def _body(plan: Plan) -> Iterator[str]:
    yield f"<h1>{escape(words.headline(plan))}</h1>"
    yield from _reach(plan)
    yield from (f'<p class="warning">{escape(warning)}</p>' for warning in words.warnings(plan))
    if plan.changes:
        yield f"<h2>Changes ({len(plan.changes):,})</h2>"
    for change in plan.changes:
        yield from _change(change, is_open=len(plan.changes) <= _OPEN)
    yield from _services("Services", plan.impacts, plan)
    yield from _services("Services that live configuration waits for already", plan.owed, plan)
    yield from _listed("Changed without a restart", words.without_restart(plan))
    for title, names in words.left_alone(plan):
        yield from _listed(title, names)
    counts = f"{words.counts(plan)} " if not plan.is_empty else ""
    yield f"<footer>{escape(counts)}Configuration {escape(plan.configuration_digest)}.</footer>"


def _reach(plan: Plan) -> Iterator[str]:
    if plan.is_empty:
        return
    found = reach_json(plan)
    numbers = {
        "resources": len(plan.changes),
        "servers": len(plan.reach.servers),
        "services": found["services"],
        "restarts": plan_summary(plan)["restart"],
        "mailboxes": found["mailboxes"],
        "sessions": found["sessions"],
    }
    yield '<ul class="reach">'
    for name, number in numbers.items():
        word = name if number != 1 else _ONE[name]
        yield f"<li><b>{number:,}</b><span>{word}</span></li>"
    yield "</ul>"


def _change(change: Change, *, is_open: bool) -> Iterator[str]:
    rows, hidden = words.rows(change)
    where = f'<span class="where">{escape(place(change.position))}</span>' if change.position else ""
    name = f'<span class="name">{escape(f"{change.action.value} {words.title(change)}")}</span>'
    yield f'<details class="{_CLASSES[change.action]}"{" open" if is_open else ""}>'
    yield f"<summary>{name}{where}</summary>"
    if rows:
        yield "<table>"
        yield from (_row(row, change) for row in rows)
        yield "</table>"
    for rest in (f"and {hidden} at the default" if hidden else "", words.cascade(change)):
        if rest:
            yield f'<p class="rest">{escape(rest)}</p>'
    yield "</details>"


def _row(row: words.Row, change: Change) -> str:
    notes = (row.impact, row.where) if change.action is Action.UPDATE else ()
    note = ", ".join(escape(text) for text in notes if text)
    cells = f"<td>{escape(row.difference)}</td>"
    return f'<tr><th class="path" scope="row">{escape(row.path)}</th>{cells}<td class="note">{note}</td></tr>'


def _services(title: str, impacts: Iterable[ServiceImpact], plan: Plan) -> Iterator[str]:
    impacts = tuple(impacts)
    if not impacts:
        return
    yield f"<h2>{escape(title)}</h2>"
    yield '<ul class="services">'
    for impact in impacts:
        verb = f'<span class="verb {ServiceAction(impact.action).value}">{impact.action.value}</span>'
        service = f"<code>{escape(printable(impact.service))}</code>"
        yield f'<li>{verb} {service} <span class="why">{escape(words.felt(impact))}</span>'
        yield "<ul>"
        yield from (f"<li>because <code>{escape(words.because(c, plan))}</code></li>" for c in impact.causes)
        yield "</ul></li>"
    yield "</ul>"


def _listed(title: str, names: list[str]) -> Iterator[str]:
    if not names:
        return
    yield f"<h2>{escape(title)} ({len(names):,})</h2>"
    yield "<ul>"
    yield from (f"<li><code>{escape(name)}</code></li>" for name in names)
    yield "</ul>"
