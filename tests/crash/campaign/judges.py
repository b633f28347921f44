"""The judges: they look at the machine's ledger, at Slack, at the audit export, at what people were told and at the
rows, and say what is wrong. None of them asks the product.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from tests.crash.campaign.rows import Row, Rows
from tests.crash.campaign.scenarios import Scenario
from tests.crash.campaign.slack import key_of, shared_files, shown
from tests.crash.campaign.world import Line, World, read_lines

OVER = {"completed", "completed_unverified", "failed", "rejected", "expired", "cancelled"}
RAN = {"succeeded": 0, "failed": 1}
REFUSED = {"U0DAVE tries"}  #: acts of people who may not
REPEAT = "This may be shown twice"


@dataclass(frozen=True)
class Evidence:
    """Everything that a case has left behind."""

    scenario: Scenario
    machine: list[Line]
    slack: list[Line]
    people: list[Line]
    audit: list[Line]
    sessions: dict[int, Row]
    steps: dict[tuple[int, int], Row]
    attempts: dict[str, Row]
    decisions: list[Row]
    outbox: list[Row]

    def did(self, what: str, attempt: str = "") -> list[Line]:
        return [line for line in self.machine if line["did"] == what and attempt in {"", line["attempt"]}]

    def key(self, session: int) -> str:
        """Return the key under which a session was started."""
        return str(self.sessions[session]["request_key"])


def gather(scenario: Scenario, world: World, rows: Rows) -> Evidence:
    sessions = rows.read("SELECT id, status, version, request_key FROM execution_sessions")
    steps = rows.read("SELECT session_id, step_number, status, requires_approval, command FROM execution_steps")
    attempts = rows.read("SELECT id, session_id, step_number, number, status, cleaned_at FROM attempts")
    return Evidence(
        scenario=scenario,
        machine=read_lines(world.machine),
        slack=read_lines(world.slack),
        people=read_lines(world.people),
        audit=read_lines(world.audit),
        sessions={row["id"]: row for row in sessions},
        steps={(row["session_id"], row["step_number"]): row for row in steps},
        attempts={row["id"]: row for row in attempts},
        decisions=rows.read(
            "SELECT g.session_id, g.step_number, d.verdict, d.person_user"
            " FROM decisions d JOIN gates g ON g.id = d.gate_id ORDER BY d.id"
        ),
        outbox=rows.read("SELECT key, session_id, purpose, ordinal, step_number, state FROM outbox ORDER BY id"),
    )


def judge(evidence: Evidence) -> list[str]:
    """Return everything that is wrong, one sentence each."""
    judges = (
        nothing_acknowledged_is_lost,
        nothing_is_sent_twice,
        nothing_runs_unapproved,
        what_is_said_of_attempts_is_true,
        everything_is_shown_once,
        the_audit_chain_is_whole,
        the_audit_trail_explains_the_rows,
        sessions_end_as_they_may,
    )
    return [problem for each in judges for problem in each(evidence)]


def nothing_acknowledged_is_lost(e: Evidence) -> Iterable[str]:
    """What a person saw acknowledged is in the rows, once."""
    answers = {line["act"]: line["answer"] for line in e.people if line["answer"]}
    started = [act.removeprefix("start ") for act in answers if act.startswith("start ")]
    known = Counter(str(row["request_key"]) for row in e.sessions.values())
    yield from (f"start {key!r} was acknowledged and is lost" for key in started if not known[key])
    kept = Counter((e.key(row["session_id"]), row["person_user"], row["verdict"]) for row in e.decisions)
    for act in e.scenario.acts:
        if act.vote and answers.get(act.name) == "ok" and not kept[act.vote]:
            yield f"the decision {act.vote} was acknowledged and is lost"
        if act.vote and kept[act.vote] > 1:
            yield f"the decision {act.vote} counts {kept[act.vote]} times"
    entitled = {act.vote[1] for act in e.scenario.acts if act.vote}
    yield from (
        f"{row['person_user']} may not decide, and did" for row in e.decisions if row["person_user"] not in entitled
    )
    yield from (
        f"{act} was refused, and told that it counted" for act in answers if act in REFUSED and answers[act] == "ok"
    )
    cancels = sum(line["kind"] == "session_cancel_asked" for line in e.audit)
    if cancels > 1 or (answers.get("cancel") == "ok" and not cancels):
        yield f"the cancel was answered {answers.get('cancel')!r} and is recorded {cancels} times"


def nothing_is_sent_twice(e: Evidence) -> Iterable[str]:
    """At most one submission per attempt, one effect per approved attempt, one command at a time."""
    for attempt, times in Counter(line["attempt"] for line in e.did("submit")).items():
        if times > 1:
            yield f"attempt {attempt} was submitted {times} times"
        if attempt not in e.attempts:
            yield f"attempt {attempt} was submitted and is in no row"
    effects = Counter((line["session"], line["step"]) for line in e.did("effect"))
    failed = Counter((line["session"], line["step"]) for line in e.did("arrive") if line["code"] != 0)
    for place, times in effects.items():
        if times > 1 + failed[place]:
            yield f"step {place} took effect {times} times, {failed[place]} of them failed"
    yield from _overlaps(e)


def _overlaps(e: Evidence) -> Iterable[str]:
    runs = []
    for line in e.did("arrive"):
        begun = datetime.fromisoformat(line["at"])
        stops = [datetime.fromisoformat(stop["at"]) for stop in e.did("cancel", line["attempt"])]
        ended = min([*stops, begun + timedelta(seconds=e.scenario.nature.seconds)])
        runs.append((begun, ended, line["attempt"]))
    runs.sort()
    for (_, ended, first), (begun, _, second) in pairwise(runs):
        if begun < ended and not e.scenario.nature.mute:
            yield f"attempts {first} and {second} ran on the machine at the same time"


def nothing_runs_unapproved(e: Evidence) -> Iterable[str]:
    """Before each submission of a step that asks, its approvals were recorded; and the bytes are those approved."""
    order = {(line["kind"], line["session_id"], line["step_number"]): line["seq"] for line in e.audit}
    claims = {line["data"]["attempt"]: line["seq"] for line in e.audit if line["kind"] == "step_claimed"}
    for line in e.did("submit"):
        place = (line["session"], line["step"])
        if line["attempt"] not in claims:
            yield f"attempt {line['attempt']} was sent without its intent on record"
        if line["script"] != e.steps[place]["command"]:
            yield f"attempt {line['attempt']} sent other bytes than those of the plan"
        votes = [row for row in e.decisions if (row["session_id"], row["step_number"]) == place]
        approved = order.get(("step_approve", *place), 0)
        if e.steps[place]["requires_approval"] and not (approved and any(v["verdict"] == "approve" for v in votes)):
            yield f"attempt {line['attempt']} of step {place} was sent without an approval on record"


def what_is_said_of_attempts_is_true(e: Evidence) -> Iterable[str]:
    """A success or failure has its evidence; what never started left no effect; nothing is left lying about."""
    for attempt, row in e.attempts.items():
        arrived = e.did("arrive", attempt)
        if row["status"] in RAN and [line["code"] for line in arrived] != [RAN[row["status"]]]:
            yield f"attempt {attempt} is said to have {row['status']}; the machine knows {arrived or 'nothing'}"
        if row["status"] in {"not_started", "refused_late"} and e.did("effect", attempt):
            yield f"attempt {attempt} is said not to have started, and has had an effect"
        if row["status"] == "cancelled" and not e.did("cancel", attempt):
            yield f"attempt {attempt} is said to be cancelled, and the machine never stopped it"
        if row["status"] in {"submitting", "accepted", "running"}:
            yield f"attempt {attempt} is still {row['status']}"
        if arrived and row["cleaned_at"] is None and e.sessions[row["session_id"]]["status"] in OVER:
            yield f"attempt {attempt} was not cleared away"


def everything_is_shown_once(e: Evidence) -> Iterable[str]:
    """Every message reached Slack, and once; where history cannot be read, a second one says so."""
    posts = Counter(key_of(line) for line in e.slack if line["call"] == "chat.postMessage")
    marked = Counter(key_of(line) for line in e.slack if line["call"] == "chat.postMessage" and REPEAT in line["text"])
    for row in e.outbox:
        if row["state"] != "sent":
            yield f"the message {row['key']} is {row['state']}"
        if row["purpose"] in {"output", "home", "ephemeral"}:
            continue
        if not posts[row["key"]]:
            yield f"the message {row['key']} was never shown"
        extra = posts[row["key"]] - 1
        if extra > 0 and (e.scenario.history_readable or extra > marked[row["key"]]):
            yield f"the message {row['key']} was posted {posts[row['key']]} times, {marked[row['key']]} of them marked"
    files = shared_files(e.slack)
    marked_files = sum(REPEAT in str(line["text"]) for line in files)
    most = e.scenario.files + (0 if e.scenario.history_readable else marked_files)
    least = e.scenario.files if any(row["status"] == "completed" for row in e.sessions.values()) else 0
    if not least <= len(files) <= most:
        yield f"{len(files)} files were shown instead of {e.scenario.files}, {marked_files} of them marked"
    yield from _results(e)


def _results(e: Evidence) -> Iterable[str]:
    """Each attempt that ended, and each end of a session, was told in the thread as what it was."""
    texts = {key_of(line): str(line["text"]) for line in shown(e.slack)}
    said = {"succeeded": "succeeded", "failed": "failed", "unknown": "unknown", "cancelled": "was stopped"}
    for row in e.attempts.values():
        text = texts.get(f"session/{row['session_id']}/result/{row['step_number']}/{row['number']}", "")
        word = said.get(row["status"], "")
        if word and word not in text and not (row["status"] == "unknown" and text):
            yield f"the result of attempt {row['id']} ({row['status']}) reads {text!r}"
    for number, session in e.sessions.items():
        told = texts.get(f"session/{number}/closing/0/0", "")
        if session["status"] in OVER and not told:
            yield f"session {number} is {session['status']} and nobody was told"


def the_audit_chain_is_whole(e: Evidence) -> Iterable[str]:
    """Each record continues the one before it, recomputed from what was exported."""
    previous = "0" * 64
    for number, line in enumerate(e.audit, start=1):
        at = datetime.fromisoformat(line["at"]).isoformat(timespec="microseconds")
        middle = [line[name] for name in ("kind", "session_id", "step_number", "actor", "source", "data")]
        content = json.dumps([line["seq"], at, *middle, previous], sort_keys=True, separators=(",", ":"))
        previous = hashlib.sha256(content.encode("ascii")).hexdigest()
        if (line["seq"], line["hash"]) != (number, previous):
            yield f"record {line['seq']} of the audit trail breaks the chain"


def the_audit_trail_explains_the_rows(e: Evidence) -> Iterable[str]:
    """One record for each version of each session, the last one with the session's status; one for each decision."""
    for number, session in e.sessions.items():
        mine = [line for line in e.audit if line["session_id"] == number and "version" in line["data"]]
        if [line["data"]["version"] for line in mine] != list(range(1, session["version"] + 1)):
            yield f"the versions of session {number} in the audit trail have holes or doubles"
        elif mine[-1]["data"]["status"] != session["status"]:
            yield f"session {number} is {session['status']}, its last record says {mine[-1]['data']['status']}"
    votes = Counter((row["session_id"], row["person_user"], row["verdict"]) for row in e.decisions)
    kinds = {"step_approve": "approve", "step_reject": "reject"}
    told = Counter(
        (line["session_id"], line["actor"].split("/")[-1], kinds[line["kind"]])
        for line in e.audit
        if line["kind"] in kinds
    )
    if votes != told:
        yield f"decisions and audit trail differ: {votes} and {told}"
    counted = Counter(line["kind"] for line in e.audit)
    yield from (
        f"{kind} is recorded {counted[kind]} times" for kind, n in e.scenario.tells.items() if counted[kind] != n
    )


def sessions_end_as_they_may(e: Evidence) -> Iterable[str]:
    """Each start has one session, which ended as the script says; or because a command certainly never left."""
    never_left = {
        row["session_id"]
        for row in e.attempts.values()
        if row["status"] == "not_started" and not e.did("arrive", row["id"])
    }
    for key, ends in e.scenario.ends.items():
        mine = [row for row in e.sessions.values() if row["request_key"] == key]
        if len(mine) != 1:
            yield f"start {key!r} has {len(mine)} sessions"
        for row in mine:
            stopped = row["status"] == "failed" and row["id"] in never_left
            if row["status"] not in ends and not stopped:
                yield f"session {key!r} is {row['status']}, expected {' or '.join(sorted(ends))}"
