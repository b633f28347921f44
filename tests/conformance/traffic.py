"""One round of everything the simulated Slack sends and answers, to be compared with samples of the real one.

It must stay a round: every payload and every method once, nothing about what the app makes of it.
"""

from __future__ import annotations

from typing import Any

from playground.slack import SlackWorkspace
from tests.conformance.apps import BlockingBot, Steps, Tools
from tests.conformance.blocks import Json, actions, button, field, home, modal, section, select

EVENTS = frozenset(
    {
        "app_home_opened",
        "app_mention",
        "app_uninstalled",
        "function_executed",
        "message.channels",
        "tokens_revoked",
    }
)
SCOPES = frozenset(
    {"channels:join", "files:read", "reactions:write", "team:read", "users:read.email", "im:read", "mpim:read"}
)


def everything(ws: SlackWorkspace, bot: BlockingBot) -> tuple[dict[str, Json], dict[str, Json]]:
    """The payloads by name, and the answers by method."""
    ws.world.app.events |= EVENTS
    ws.world.app.scopes |= SCOPES
    _listen(bot)
    _interact(ws, bot)
    _call(ws, bot)
    _events(ws)
    ws.wait_for(lambda: ws.journal.deliveries("tokens_revoked"))
    payloads = {_name(entry.request): entry.request for entry in ws.journal.deliveries()}
    return payloads, {entry.name: entry.reply for entry in ws.journal.calls() if entry.ok}


def _name(payload: Json) -> str:
    event = payload.get("event", {})
    words = (payload.get("type", "command"), event.get("type"), event.get("subtype"))
    surface = "view" if payload.get("container", {}).get("type") == "view" else None
    return " ".join(word for word in (*words, surface) if word)


def _listen(bot: BlockingBot) -> None:
    def acknowledge(tools: Tools) -> Steps:
        yield tools.ack()

    def opens(tools: Tools) -> Steps:
        yield tools.ack()
        view = modal(
            field(), actions(button("inside")), notify_on_close=True, close={"type": "plain_text", "text": "No"}
        )
        yield tools.client.views_open(trigger_id=tools.body["trigger_id"], view=view)

    def pushes(tools: Tools) -> Steps:
        yield tools.ack()
        pushed = yield tools.client.views_push(trigger_id=tools.body["trigger_id"], view=modal(notify_on_close=True))
        yield tools.client.views_update(view_id=pushed["view"]["id"], view=modal(title="New", notify_on_close=True))

    bot.on("command", "/runbook", opens)
    bot.on("action", "inside", pushes)
    for kind, name in (("action", "go"), ("action", "pick"), ("view", "ask"), ("view_closed", "ask")):
        bot.on(kind, name, acknowledge)  # type: ignore[arg-type]
    for name in ("start", "inspect"):
        bot.on("shortcut", name, acknowledge)
    for name in (*(event for event in EVENTS if "." not in event), "message"):
        bot.on("event", name, acknowledge)


def _interact(ws: SlackWorkspace, bot: BlockingBot) -> None:
    alice = ws.person("alice")
    blocks = [section(), actions(button(value="1", style="primary"), select("a", "b"))]
    parent = bot.call("chat_postMessage", channel="C0OPS", text="Ready?", blocks=blocks)
    bot.call("chat_postMessage", channel="C0OPS", text="x", blocks=blocks, thread_ts=parent["ts"])
    shown = ws.channel("ops").all()[-1]
    alice.clicks(shown, "Go")
    alice.message_shortcut("inspect", shown)
    alice.shortcut("start")
    alice.types("/runbook x", channel="ops")
    alice.clicks(_modal(ws), "inside")
    ws.wait_for(lambda: ws.journal.calls("views.update"))
    alice.submits(_modal(ws), {"reason": "because"})
    alice.closes()


def _modal(ws: SlackWorkspace) -> Any:
    return ws.wait_for(ws.person("alice").modal)


def _call(ws: SlackWorkspace, bot: BlockingBot) -> None:
    ts = bot.call("chat_postMessage", channel="C0OPS", text="one")["ts"]
    bot.call("chat_update", channel="C0OPS", ts=ts, text="two")
    bot.call("chat_getPermalink", channel="C0OPS", message_ts=ts)
    bot.call("chat_postEphemeral", channel="C0OPS", user="U0BOB", text="you")
    for call in ("reactions_add", "reactions_remove"):
        bot.call(call, channel="C0OPS", timestamp=ts, name="eyes")
    for call in ("info", "members", "history"):
        bot.call(f"conversations_{call}", channel="C0OPS")
    bot.call("conversations_replies", channel="C0OPS", ts=ws.channel("ops").all()[0].ts)
    bot.call("conversations_join", channel="C0NOBOT")
    bot.call("conversations_open", users="U0BOB", return_im=True)
    for call in ("conversations_list", "users_list", "usergroups_list", "auth_test", "team_info"):
        bot.call(call)
    bot.call("usergroups_users_list", usergroup="S0APPROVERS")
    bot.call("users_info", user="U0BOB")
    bot.call("users_lookupByEmail", email="bob@example.com")
    bot.call("bots_info", bot="B0RUNBOOKBOT")
    bot.call("files_info", file=bot.call("files_upload_v2", content="x", filename="a", channel="C0OPS")["file"]["id"])
    bot.call("views_publish", user_id="U0BOB", view=home())
    bot.call("chat_delete", channel="C0OPS", ts=ts)
    bot.call("apps_connections_open", app_token=ws.app_token)


def _events(ws: SlackWorkspace) -> None:
    bob = ws.person("bob")
    bob.opens_home()
    bob.says("<@U0RUNBOOKBOT> help", channel="ops")
    bob.runs_step("run_runbook", {"vm": "web-01"})
    ws.revoke_token()
