"""HTTP mode: signed posts to a real Bolt app behind a real HTTP server."""

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from slack_bolt import App, BoltRequest
from slack_sdk import WebClient

from playground.slack import FaultKind, SlackWorkspace

Json = dict[str, Any]
Serve = Callable[[Callable[[str, dict[str, str]], tuple[int, dict[str, str], str]]], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve posts with a function from body and headers to status, headers and body."""
    servers: list[ThreadingHTTPServer] = []

    def start(answer: Callable[[str, dict[str, str]], tuple[int, dict[str, str], str]]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                status, headers, text = answer(body, dict(self.headers.items()))
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                with suppress(ConnectionError):  # the workspace hangs up when the three seconds are over
                    self.wfile.write(text.encode())

            def log_message(self, *_args: Any):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/slack/events"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def http_app(ws: SlackWorkspace, serve: Serve) -> App:
    client = WebClient(ws.bot_token, base_url=ws.base_url)
    app = App(client=client, signing_secret=ws.signing_secret, token_verification_enabled=False)

    def answer(body: str, headers: dict[str, str]) -> tuple[int, dict[str, str], str]:
        reply = app.dispatch(BoltRequest(body=body, headers=headers))
        return reply.status, {key: values[0] for key, values in reply.headers.items()}, reply.body

    ws.deliver_via("http", request_url=serve(answer))
    return app


def test_request_url_is_verified(ws: SlackWorkspace, http_app: App):
    assert ws.verify_request_url()


def test_command_click_and_response_url_work_over_signed_http(ws: SlackWorkspace, http_app: App):
    @http_app.command("/runbook")
    def start(ack: Any, command: Json, client: Any, respond: Any):
        button = {"type": "button", "action_id": "go", "text": {"type": "plain_text", "text": "Go"}}
        ack(f"started {command['text']}")
        client.chat_postMessage(channel="C0OPS", text="Ready?", blocks=[{"type": "actions", "elements": [button]}])

    @http_app.action("go")
    def go(ack: Any, respond: Any):
        ack()
        respond(text="gone", replace_original=True)

    assert ws.person("alice").types("/runbook a b", channel="ops").text == "started a b"
    (message,) = ws.wait_for(ws.channel("ops").messages)
    assert ws.person("bob").clicks(message, "Go").acked
    ws.wait_for(lambda: ws.channel("ops").messages()[0].text == "gone")


def test_message_on_the_acknowledgement_can_be_public(ws: SlackWorkspace, http_app: App):
    http_app.command("/runbook")(lambda ack: ack(text="hello all", response_type="in_channel"))

    result = ws.person("alice").types("/runbook x", channel="ops")

    assert result.message is not None
    assert result.message.ephemeral_to is None
    assert [message.text for message in ws.channel("ops").messages()] == ["hello all"]


@pytest.mark.parametrize("kind", [FaultKind.BAD_SIGNATURE, FaultKind.STALE_TIMESTAMP])
def test_forged_and_stale_requests_are_refused_by_the_bot(ws: SlackWorkspace, http_app: App, kind: FaultKind):
    http_app.command("/runbook")(lambda ack: ack("accepted"))
    ws.faults.switch_on(kind, on="slash_commands")

    refused = ws.person("alice").types("/runbook x", channel="ops")

    assert not refused.acked
    assert ws.journal.deliveries("/runbook")[0].reply == {"status": 401}
    assert ws.person("alice").types("/runbook x", channel="ops").text == "accepted"


def test_signature_stays_valid_however_far_the_clock_is_moved(ws: SlackWorkspace, http_app: App):
    http_app.command("/runbook")(lambda ack: ack("accepted"))
    ws.clock.advance(86_400)

    assert ws.person("alice").types("/runbook x", channel="ops").text == "accepted"


def test_failed_event_is_retried_with_number_and_reason(ws: SlackWorkspace, serve: Serve):
    seen: list[tuple[str | None, str | None]] = []

    def second_time_lucky(_body: str, headers: dict[str, str]) -> tuple[int, dict[str, str], str]:
        seen.append((headers.get("x-slack-retry-num"), headers.get("x-slack-retry-reason")))
        return (200 if len(seen) == 2 else 500), {}, ""

    ws.deliver_via("http", request_url=serve(second_time_lucky))

    assert not ws.person("bob").opens_home().acked

    ws.wait_for(lambda: len(ws.journal.deliveries()) == 2)
    assert seen == [(None, None), ("1", "http_error")]


def test_bot_can_decline_retries(ws: SlackWorkspace, serve: Serve):
    url = serve(lambda _body, _headers: (500, {"x-slack-no-retry": "1"}, ""))
    ws.deliver_via("http", request_url=url)

    ws.person("bob").opens_home()
    ws.deliver_via("http", request_url=serve(lambda _body, _headers: (200, {}, "")))
    ws.person("carol").opens_home()

    people = [entry.request["event"]["user"] for entry in ws.journal.deliveries()]
    assert people == ["U0BOB", "U0CAROL"]


def test_slow_bot_times_out(ws: SlackWorkspace, serve: Serve):
    reached, release = threading.Event(), threading.Event()

    def slow(_body: str, _headers: dict[str, str]) -> tuple[int, dict[str, str], str]:
        reached.set()
        release.wait(10)
        return 200, {}, ""

    def jump() -> Any:
        reached.wait(10)
        ws.clock.advance(4)

    ws.deliver_via("http", request_url=serve(slow))
    result, _ = ws.at_once(lambda: ws.person("alice").types("/runbook x", channel="ops"), jump)
    release.set()

    assert result.timed_out
    assert "operation_timeout" in result.text


def test_nobody_listening_is_a_connection_failure(ws: SlackWorkspace):
    ws.deliver_via("http", request_url="http://127.0.0.1:9/slack/events")

    result = ws.person("alice").types("/runbook x", channel="ops")

    assert "dispatch_failed" in result.text
    assert "connection_failed" in ws.journal.deliveries()[0].note


def test_request_url_beyond_this_machine_is_refused(ws: SlackWorkspace):
    with pytest.raises(ValueError, match="leaves this machine"):
        ws.deliver_via("http", request_url="https://example.com/slack/events")


def test_verification_needs_a_request_url(ws: SlackWorkspace):
    with pytest.raises(ValueError, match="call deliver_via"):
        ws.verify_request_url()
