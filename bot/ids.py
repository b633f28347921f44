"""The names that Slack knows us by: the contract between the code and ``manifest.yml``.

Whoever registers, posts or looks for one of these takes it from here. Nothing here may depend on anything.
"""

from __future__ import annotations

COMMAND = "/runbook"
SHORTCUT_RUN = "run_runbook"
SHORTCUT_ACTIONS = "runbook_actions"
EVENTS = ("app_home_opened", "app_uninstalled", "tokens_revoked")
BOT_SCOPES = (
    "commands",
    "chat:write",
    "users:read",
    "usergroups:read",
    "files:write",
    "channels:read",
    "groups:read",
    "channels:history",
    "groups:history",
)
APP_SCOPES = ("connections:write",)

# Buttons. The value of a gate's button is the gate's opaque id; of a session's button the session's number; of a
# choice "session|step|choice". Several choices stand in one block, where Slack wants distinct action ids, so
# theirs carry the choice as well: "choose:retry".
ACTION_APPROVE = "approve"
ACTION_DONE = "done"  #: a manual step was done; the same decision as an approval
ACTION_REJECT = "reject"
ACTION_CANCEL = "cancel"
ACTION_CHOOSE = "choose"
ACTION_LAUNCH = "launch"  #: App Home's button that opens the launch dialog
ACTION_LAUNCH_RUNBOOK = "launch_runbook"  #: the dialog's choice of runbook, which redraws the dialog
ACTION_LINK = "link"  #: a button that only opens a page; Slack reports the click all the same

# Dialogs. ``private_metadata`` holds what the button held; the launch dialog's holds the channel it was opened in.
VIEW_REJECT = "reject_reason"
VIEW_CHOOSE = "choose_reason"
VIEW_CANCEL = "cancel_reason"
VIEW_LAUNCH = "launch"
VIEW_HOME = "home"

# Input blocks of the dialogs: block id, and the action id of the input inside it.
BLOCK_REASON = "reason"
BLOCK_RUNBOOK = "runbook"
BLOCK_VM = "vm"
BLOCK_TICKET = "ticket"
BLOCK_CHANNEL = "channel"
BLOCK_PARAMETER = "parameter:"  #: followed by the parameter's name
INPUT = "input"  #: the action id of every plain input

METADATA_EVENT = "runbook_message"  #: ``metadata.event_type`` of every message of ours


def choose_action(choice: str) -> str:
    """Return the action id of one choice's button."""
    return f"{ACTION_CHOOSE}:{choice}"
