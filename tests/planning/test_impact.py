from __future__ import annotations

from reconciler.model import Cause, Key, Plan, Resource, ServiceAction, ServiceState
from reconciler.planning import make_plan
from tests.planning.builders import AUTOMATIC, RUNNING_IMAP, desired, live, resource, running, server

IMAP = Key("ImapSettings", "ex01")
CONNECTOR = {"bindings": ["127.0.0.1:10587"]}


def _plan(declared: list[Resource], before: list[Resource], *services: ServiceState) -> Plan:
    return make_plan(desired(*declared), live(*before, services=services), digests={})


def _actions(plan: Plan) -> dict[str, ServiceAction]:
    return {impact.service: impact.action for impact in plan.impacts}


def _limit(number: int) -> Resource:
    return resource("ImapSettings", "ex01", {"maxConnectionsPerUser": number})


def _connector(**fields: object) -> Resource:
    return resource(
        "ReceiveConnector", "ex01/client", CONNECTOR | {"transportRole": "FrontendTransport"} | fields
    )


def test_a_limit_restarts_front_end_and_back_end_with_cause_and_sessions() -> None:
    host = server(services=RUNNING_IMAP)
    services = running("ex01/imap4", 41), running("ex01/imap4-backend", 40), running("ex01/transport")
    plan = _plan([host, _limit(32)], [host, _limit(16)], *services)
    assert [(impact.service, impact.action, impact.sessions) for impact in plan.impacts] == [
        ("ex01/imap4", ServiceAction.RESTART, 41),
        ("ex01/imap4-backend", ServiceAction.RESTART, 40),
    ]
    assert plan.impacts[0].causes == (Cause(IMAP, "maxConnectionsPerUser", 16, 32),)


def test_two_fields_are_one_restart_with_two_causes() -> None:
    host = server(services=RUNNING_IMAP)
    after = resource("ImapSettings", "ex01", {"maxConnectionsPerUser": 32, "banner": "hi"})
    plan = _plan([host, after], [host, _limit(16)], running("ex01/imap4"))
    assert {cause.path for cause in plan.impacts[0].causes} == {"maxConnectionsPerUser", "banner"}
    assert len([impact for impact in plan.impacts if impact.service == "ex01/imap4"]) == 1


def test_a_manual_service_that_is_stopped_is_left_alone() -> None:
    plan = _plan([server(), _limit(32)], [server(), _limit(16)])
    assert plan.changes
    assert plan.impacts == ()


def test_a_manual_service_that_runs_is_stopped() -> None:
    before = server(services=RUNNING_IMAP)
    plan = _plan([server()], [before], running("ex01/imap4", 3), running("ex01/imap4-backend"))
    assert _actions(plan) == {"ex01/imap4": ServiceAction.STOP, "ex01/imap4-backend": ServiceAction.STOP}
    assert plan.impacts[0].sessions == 3


def test_an_automatic_service_that_is_stopped_is_started() -> None:
    stopped = running("ex01/imap4", state="stopped", startup_type="Manual")
    plan = _plan([server(services={"imap4": AUTOMATIC})], [server()], stopped)
    assert _actions(plan) == {"ex01/imap4": ServiceAction.START}
    assert plan.impacts[0].sessions == 0


def test_a_new_server_starts_its_automatic_services() -> None:
    plan = _plan([server(services=RUNNING_IMAP)], [])
    started = {"ex01/imap4", "ex01/imap4-backend", "ex01/frontend-transport", "ex01/transport"}
    assert _actions(plan) == dict.fromkeys(started, ServiceAction.START)


def test_a_connector_is_a_reload_that_no_session_feels() -> None:
    before, after = _connector(), _connector(maxMessageSize="10MB")
    plan = _plan([server(), after], [server(), before], running("ex01/frontend-transport", 9))
    assert _actions(plan) == {"ex01/frontend-transport": ServiceAction.RELOAD}
    assert plan.impacts[0].sessions == 0


def test_restart_wins_over_reload() -> None:
    before = server(services={"frontend-transport": AUTOMATIC})
    after = server(services={"frontend-transport": AUTOMATIC}, fqdn="mail.contoso.example")
    connectors = _connector(), _connector(maxMessageSize="10MB")
    plan = _plan([after, connectors[1]], [before, connectors[0]], running("ex01/frontend-transport", 2))
    assert _actions(plan)["ex01/frontend-transport"] is ServiceAction.RESTART


def test_a_mailbox_costs_nothing() -> None:
    fields = {"database": "db01", "primarySmtpAddress": "alice@contoso.example"}
    before, after = (
        resource("Mailbox", "alice", fields),
        resource("Mailbox", "alice", fields | {"imapEnabled": False}),
    )
    plan = _plan([server(), after], [server(), before], running("ex01/transport"))
    assert len(plan.changes) == 1
    assert plan.impacts == ()


def test_a_pending_restart_is_owed_although_nothing_changes() -> None:
    host = server(services=RUNNING_IMAP)
    waiting = running("ex01/imap4", 5, pending="restart", pending_fields=((IMAP, "banner"),))
    plan = _plan([host], [host], waiting)
    assert plan.changes == ()
    assert not plan.is_empty
    assert [(owed.service, owed.action, owed.sessions) for owed in plan.owed] == [
        ("ex01/imap4", ServiceAction.RESTART, 5)
    ]
    assert plan.owed[0].causes == (Cause(IMAP, "banner", None, None),)


def test_a_pending_reload_is_owed_as_a_reload() -> None:
    host = server()
    plan = _plan([host], [host], running("ex01/transport", pending="reload"))
    assert [owed.action for owed in plan.owed] == [ServiceAction.RELOAD]


def test_a_pending_restart_is_done_along_with_a_reload() -> None:
    waiting = running("ex01/frontend-transport", 2, pending="restart")
    plan = _plan([server(), _connector(maxMessageSize="10MB")], [server(), _connector()], waiting)
    assert _actions(plan) == {"ex01/frontend-transport": ServiceAction.RESTART}
    assert plan.owed == ()


def test_services_of_undeclared_servers_owe_nothing() -> None:
    plan = _plan([server()], [server(), server("ex02")], running("ex02/transport", pending="restart"))
    assert plan.owed == ()
    assert plan.undeclared == (Key("Server", "ex02"),)
