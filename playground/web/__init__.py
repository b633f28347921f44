"""The playground's web page: the workspace, the machines, what went over the wire, faults and stories.

It is drawn from the simulated Slack and Azure only. It must never reach into the bot, listen beyond loopback or
load anything from elsewhere.
"""

from playground.web.page import Page

__all__ = ["Page"]
