"""What both guest envelopes agree on: marker, exit codes, sizes, JSON keys. Bash and PowerShell are generated from it.

It describes the protocol between a script's wrapper on a machine and ``connectors.trailer``. A change here must
raise ``VERSION``; nothing here may ever depend on a vendor.
"""

from __future__ import annotations

VERSION = 1
MARKER = f"RUNBOOK-BOT/{VERSION}"

EXIT_DAMAGED = 95  #: the script that arrived is not the script that was sent; it was not run
EXIT_NO_STATE = 96  #: no folder for the run-once guard could be made; the script was not run
EXIT_LATE = 97  #: the start deadline has passed; the script was not run
EXIT_DUPLICATE = 98  #: this attempt was delivered before; the script was not run again
GUARD_EXITS = frozenset({EXIT_DAMAGED, EXIT_NO_STATE, EXIT_LATE, EXIT_DUPLICATE})

STATE_FOLDER = "/var/lib/runbook-bot"
STATE_FOLDER_FALLBACK = ".runbook-bot"  #: below the home folder, where /var/lib is not ours to write
STATE_VARIABLE = "RUNBOOK_BOT_STATE"  #: set on the machine by its administrator to keep state elsewhere

TRAILER_BYTES = 3900  #: of the 4,096 that Azure keeps of each stream
HEADER_BYTES = 220  #: what marker, attempt id and JSON take at most
KEPT_BYTES = 16 * 1024 * 1024  #: of each stream on the machine, from its beginning
TAIL_BYTES = 64 * 1024  #: the most that a trailer is filled from; also kept from the end of an endless stream
KEEP_SECONDS = 7 * 24 * 3600  #: state folders are removed this long after their start deadline
TERM_SECONDS = 5  #: between the polite and the final signal

# states that a trailer or a reply can tell
DONE, LATE, DUPLICATE, CANCELLED = "done", "late", "duplicate", "cancelled"
DAMAGED, NO_STATE, INTERRUPTED = "damaged", "no_state", "interrupted"
ABSENT, RUNNING, STOPPED, ALIVE = "absent", "running", "stopped", "alive"
