"""A local Slack workspace: Web API, Socket Mode and signed HTTP deliveries, people to drive, faults to switch
on.

It is modelled on Slack's documentation and on the official SDKs; it must never be mistaken for Slack itself,
listens on loopback only and sends nothing anywhere but to the bot under it.
"""

from playground.slack.faults import FaultKind
from playground.slack.server import SlackWorkspace

__all__ = ["FaultKind", "SlackWorkspace"]
