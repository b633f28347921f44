"""What people see in Slack: pure functions from values of the engine to text and blocks.

The same values give the same blocks. Nothing here may read a message back, ask a clock, or call anything.
"""

from __future__ import annotations
