"""Sending a command: intent before effect, one call per attempt, and nothing but what was approved."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete

from engine import events as ev
from engine.errors import ConnectorError, Indeterminate, Permanent, Transient
from engine.model import AttemptStatus, Expect, GateStatus, OnFailure, Phase, Risk, Session, Shell, Verdict
from engine.model import SessionStatus as N
from engine.model import StepStatus as S
from engine.plan import digest_of
from storage.tables import AttemptRow, DecisionRow, GateRow, SessionRow, StepRow
from tests.builders import BOB, CAROL, NOW, a_free_step, a_plan, a_step, an_actor, an_audience
from tests.engine.crew import RUNBOOK, Crew
from tests.fakes.machines import Lost, printed

# ------------------------------------------------------------ intent before effect


def test_attempt_is_committed_before_the_command_leaves(crew: Crew) -> None:
    number = crew.approved()
    seen: list[Session] = []
    crew.machines.before["submit"] = lambda: seen.append(crew.session(number))

    crew.does("run", number)

    [during] = seen
    attempt = during.steps[0].attempt
    assert attempt is not None
    assert (attempt.status, attempt.owner) == (AttemptStatus.SUBMITTING, "worker-1")
    assert [command.attempt_id for command in crew.machines.submitted] == [attempt.id]


def test_command_carries_the_approved_script_the_pinned_machine_and_a_start_deadline(crew: Crew) -> None:
    number = crew.approved(a_step(script="echo exactly this\n", timeout_seconds=77))

    crew.does("run", number)

    [command] = crew.machines.submitted
    plan = crew.session(number).plan
    assert (command.script, command.timeout_seconds) == ("echo exactly this\n", 77)
    assert (command.target, command.session_id, command.step_number) == (plan.target, number, 1)
    assert command.not_after == NOW + timedelta(minutes=10)


def test_edit_of_the_file_after_the_approval_does_not_reach_the_machine(crew: Crew) -> None:
    number = crew.service.start(crew.request()).id
    crew.approves(number)
    approved = crew.step(number).planned.script
    crew.writes_runbook(RUNBOOK.replace("echo $word", "echo $word; reboot"))

    crew.does("run", number)

    assert crew.service.preview(crew.request()).steps[0].script != approved
    assert [command.script for command in crew.machines.submitted] == [approved]


def test_accepted_command_is_stored_with_its_handle_and_the_time_of_the_first_look(crew: Crew) -> None:
    number = crew.approved()

    crew.does("run", number)

    attempt = crew.attempt(number)
    assert (attempt.status, attempt.handle["attempt"]) == (AttemptStatus.ACCEPTED, attempt.id)
    assert crew.due("observe") == []
    crew.waits(seconds=2)
    assert [job.id for job in crew.due("observe")] == [attempt.id]


@pytest.mark.parametrize(
    "fault",
    [None, Lost.ANSWER, Lost.REQUEST, Indeterminate("Reset."), Permanent("No right."), Transient("Busy.")],
    ids=str,
)
def test_each_attempt_is_sent_with_one_call_whatever_happens(crew: Crew, fault: Any) -> None:
    crew.machines.breaks("submit", fault)
    number = crew.approved()

    crew.runs(number)

    sent = [command.attempt_id for command in crew.machines.submitted]
    assert len(sent) == len(set(sent))
    assert len(crew.machines.arrivals()) <= 1


def test_task_that_comes_twice_sends_once(crew: Crew) -> None:
    number = crew.approved()

    for _ in range(3):
        crew.does("run", number)

    assert len(crew.machines.submitted) == 1


def test_task_of_a_session_that_waits_or_does_not_exist_sends_nothing(crew: Crew) -> None:
    number = crew.starts()

    crew.does("run", number)
    crew.does("run", 999)

    assert crew.machines.submitted == []
    assert crew.status(number) == N.WAITING_APPROVAL


def test_worker_that_lost_the_race_for_a_step_sends_nothing(crew: Crew) -> None:
    """The other worker claims while this one looks at the machine."""
    number = crew.approved()
    other = crew.another_worker("worker-2")
    crew.machines.once_before("preflight", lambda: crew.does("run", number, worker=other))

    crew.does("run", number)

    assert [command.attempt_id for command in crew.machines.submitted] == [crew.attempt(number).id]
    assert crew.attempt(number).owner == "worker-2"


def test_worker_that_died_while_sending_is_followed_by_a_look_up_and_never_by_a_second_sending(crew: Crew) -> None:
    class PowerCut(BaseException):
        pass

    def die() -> None:
        raise PowerCut

    number = crew.approved()
    crew.machines.before["submit"] = die
    with pytest.raises(PowerCut):
        crew.does("run", number)
    crew.machines.before.clear()

    crew.waits(minutes=11, seconds=1)
    while crew.status(number) == N.IN_PROGRESS:
        crew.works()
        crew.waits(minutes=2)

    assert len(crew.machines.submitted) == 1
    assert {command.attempt_id for command in crew.machines.looked_up} == {crew.attempt(number).id}
    assert crew.status(number) == N.NEEDS_ATTENTION


def test_session_that_was_called_off_during_the_last_look_is_not_sent(crew: Crew) -> None:
    number = crew.approved()
    crew.machines.before["preflight"] = lambda: crew.service.cancel(number, an_actor())

    crew.does("run", number)

    assert crew.machines.submitted == []
    assert crew.status(number) == N.CANCELLED
    assert [fields["kind"] for event, fields in crew.log if event == "event_dropped"] == ["step_claimed"]


def test_session_that_was_paused_during_the_last_look_is_not_sent(crew: Crew) -> None:
    number = crew.approved()
    crew.machines.before["preflight"] = lambda: crew.service.pause(number, an_actor())

    crew.does("run", number)

    assert crew.machines.submitted == []
    assert crew.status(number) == N.PAUSED


def tries_in_vain_and_is_approved_again(crew: Crew, number: int) -> None:
    """Another worker runs the step, the machine refuses it, and people approve a second try."""
    crew.machines.breaks("submit", Permanent("A right is missing."))
    crew.does("run", number, worker=crew.another_worker("worker-2"))
    retry = ev.Chosen(step_number=1, choice=ev.Choice.RETRY, actor=an_actor(CAROL), reason="It is granted.")
    crew.service.choose(number, retry)
    crew.approves(number, CAROL)


def test_worker_that_looked_before_the_newest_approval_sends_nothing_under_it(crew: Crew) -> None:
    """It has not looked whether that one counts."""
    number = crew.approved()
    crew.machines.once_before("preflight", lambda: tries_in_vain_and_is_approved_again(crew, number))

    crew.does("run", number)
    sent_by_the_other = len(crew.machines.submitted)
    crew.runs(number)

    assert sent_by_the_other == 1
    assert len(crew.machines.submitted) == 2
    assert crew.status(number) == N.COMPLETED


@pytest.mark.parametrize(
    "found",
    [Permanent("The machine is gone."), Transient("Throttled.", retry_after=40)],
    ids=["machine not ready", "machine asks for patience"],
)
def test_look_at_the_machine_from_before_the_newest_approval_does_not_touch_it(
    crew: Crew, found: ConnectorError
) -> None:
    number = crew.approved()

    def meanwhile() -> None:
        tries_in_vain_and_is_approved_again(crew, number)
        crew.machines.breaks("preflight", found)

    crew.machines.once_before("preflight", meanwhile)
    crew.does("run", number)

    assert crew.step(number).status is S.APPROVED
    assert str(found) not in crew.step(number).reason
    assert crew.step(number).not_before is None


def test_loss_of_an_earlier_approval_does_not_void_the_newest_one(crew: Crew) -> None:
    number = crew.approved()

    def meanwhile() -> None:
        tries_in_vain_and_is_approved_again(crew, number)
        crew.people.members.remove(BOB.user)

    crew.people.once_before(meanwhile)
    crew.does("run", number)

    assert crew.step(number).status is S.APPROVED
    assert crew.count("approval_voided") == 0


def test_paused_session_goes_on_when_it_is_resumed(crew: Crew) -> None:
    number = crew.approved()
    crew.service.pause(number, an_actor())
    crew.works()

    crew.service.resume(number, an_actor())
    crew.runs(number)

    assert len(crew.machines.submitted) == 1
    assert crew.status(number) == N.COMPLETED


# ------------------------------------------------------------ refusals of the machine


def test_machine_that_asks_for_patience_gets_the_command_again_as_a_new_attempt_under_the_same_approval(
    crew: Crew,
) -> None:
    crew.machines.breaks("submit", Transient("Throttled.", retry_after=40))
    number = crew.approved()

    crew.does("run", number)
    refused, retry_at = crew.attempt(number), crew.step(number).not_before
    crew.runs(number)

    assert (refused.status, crew.step(number).attempts) == (AttemptStatus.NOT_STARTED, 2)
    assert retry_at == NOW + timedelta(seconds=40)
    assert len(crew.machines.submitted) == 2
    assert (crew.status(number), crew.count("step_approve")) == (N.COMPLETED, 1)


def test_step_that_was_asked_for_patience_is_not_sent_before_its_time(crew: Crew) -> None:
    crew.machines.breaks("submit", Transient("Throttled.", retry_after=40))
    number = crew.approved()
    crew.does("run", number)

    crew.waits(seconds=39)
    crew.does("run", number)

    assert len(crew.machines.submitted) == 1
    assert crew.step(number).status is S.QUEUED


def test_patience_of_unknown_length_is_half_a_minute(crew: Crew) -> None:
    crew.machines.breaks("submit", Transient("Throttled."))
    number = crew.approved()

    crew.does("run", number)

    assert crew.step(number).not_before == NOW + timedelta(seconds=30)


def test_refusal_for_good_needs_a_person_and_is_never_repeated(crew: Crew) -> None:
    crew.machines.breaks("submit", Permanent("The right runCommands/write is missing.", hint="Grant it."))
    number = crew.approved()

    crew.runs(number)

    assert crew.status(number) == N.NEEDS_ATTENTION
    assert crew.step(number).reason == "The right runCommands/write is missing. Grant it."
    assert len(crew.machines.submitted) == 1


def test_retry_after_a_refusal_for_good_asks_the_approvers_again(crew: Crew) -> None:
    crew.machines.breaks("submit", Permanent("A right is missing."))
    number = crew.approved()
    crew.runs(number)

    crew.service.choose(
        number, ev.Chosen(step_number=1, choice=ev.Choice.RETRY, actor=an_actor(BOB), reason="The right was granted.")
    )

    assert crew.gate(number).serial == 2
    crew.works()
    assert len(crew.machines.submitted) == 1


@pytest.mark.parametrize("power", ["stopped", "deallocated"])
def test_machine_that_stopped_after_the_approval_gets_nothing(crew: Crew, power: str) -> None:
    number = crew.approved()
    crew.machines.power = dict.fromkeys(crew.machines.power, power)

    crew.runs(number)

    assert crew.machines.submitted == []
    assert crew.status(number) == N.NEEDS_ATTENTION
    assert power in crew.step(number).reason


def test_machine_made_anew_under_the_same_name_gets_nothing(crew: Crew) -> None:
    number = crew.approved()
    [known] = crew.machines.targets.values()
    crew.machines.targets = {known.id: replace(known, fingerprint="another")}

    crew.runs(number)

    assert crew.machines.submitted == []
    assert crew.status(number) == N.NEEDS_ATTENTION


@pytest.mark.parametrize("trouble", [Transient("Throttled.", retry_after=20), Indeterminate("No answer.")])
def test_machine_that_cannot_be_looked_at_now_is_looked_at_later(crew: Crew, trouble: Exception) -> None:
    crew.machines.breaks("preflight", trouble)  # type: ignore[arg-type]
    number = crew.approved()

    crew.does("run", number)

    assert crew.machines.submitted == []
    assert crew.step(number).status is S.QUEUED
    crew.runs(number)
    assert crew.status(number) == N.COMPLETED


def test_connector_that_was_switched_off_is_named_and_needs_a_person(crew: Crew) -> None:
    number = crew.approved()
    crew.worker = crew.another_worker("worker-1", connectors={}, preparation=crew.preparation_for({}))

    crew.runs(number)

    assert crew.status(number) == N.NEEDS_ATTENTION
    assert "azure" in crew.step(number).reason


# ------------------------------------------------------------ one command per machine


def test_busy_machine_queues_the_second_session(crew: Crew) -> None:
    crew.machines.holding = True
    first, second = crew.approved(), crew.approved()

    crew.works()

    assert (crew.step(first).status, crew.step(second).status) == (S.RUNNING, S.QUEUED)
    assert f"Session {first}" in crew.step(second).reason
    assert len(crew.machines.submitted) == 1


def test_session_that_ends_wakes_the_one_that_waits_longest(crew: Crew) -> None:
    crew.machines.holding = True
    first, second, third = crew.approved(), crew.approved(), crew.approved()
    crew.works()
    crew.machines.release()
    crew.notebook.noted.clear()

    crew.does("observe", crew.attempt(first).id)

    woken = [job.id for job in crew.notebook.noted if job.task == "run"]
    assert str(second) in woken
    assert [job.id for job in crew.due("run")] == [str(second)]
    crew.runs(third)
    assert [crew.status(number) for number in (first, second, third)] == [N.COMPLETED] * 3
    assert [command.session_id for command in crew.machines.submitted] == [first, second, third]


def test_waiting_again_for_a_busy_machine_writes_nothing(crew: Crew) -> None:
    crew.machines.holding = True
    first, second = crew.approved(), crew.approved()
    crew.works()
    before = crew.session(second)

    crew.does("run", second)

    assert crew.session(second) == before
    assert crew.step(first).status is S.RUNNING


# ------------------------------------------------------------ nothing but what was approved

TAMPERED_SESSION: dict[str, Any] = {
    "runbook_name": "another",
    "title": "Another",
    "description": "Another",
    "owner": "mallory",
    "service": "another",
    "environment": "dev",
    "risk": Risk.NONE,
    "runbook_digest": "f" * 64,
    "policy_version": "f" * 64,
    "plan_format": 2,
    "plan_digest": "f" * 64,
    "parameters": {"word": "evil"},
    "connector": "local",
    "target_id": "/subscriptions/0000/another",
    "target_name": "web-2",
    "target_group": "rg-other",
    "target_os": "windows",
    "target_fingerprint": "another",
    "target_location": "mars",
}
TAMPERED_STEP: dict[str, Any] = {
    "step_type": Phase.PRECHECK,
    "name": "Harmless",
    "risk": Risk.NONE,
    "requires_approval": False,
    "command": "rm -rf /\n",
    "shell": Shell.POWERSHELL,
    "timeout_seconds": 5000,
    "retries": 9,
    "on_failure": OnFailure.CONTINUE,
    "expect": {"exit_codes": [0, 1, 2], "contains": [], "not_contains": [], "matches": "", "number": ""},
    "capture": {"all": "stdout"},
    "undoes": 1,
}
SESSION_STATE = {
    "id", "status", "version", "waiting_for_approval", "approval_step_number", "current_step", "rolling_back",
    "paused_by", "cancelled_by", "reason", "requester_enterprise", "requester_team", "requester_user",
    "requester_name", "requester_source", "team", "channel", "ticket", "nonce", "request_key", "created_at",
    "started_at", "finished_at",
}  # fmt: skip
STEP_STATE = {
    "session_id", "step_number", "kind", "approved", "completed", "success", "audience", "status", "attempts",
    "exit_code", "output", "error", "output_bytes", "error_bytes", "truncated", "duration_seconds", "reason",
    "captured", "started_at", "finished_at", "not_before", "queue_number",
}  # fmt: skip


def test_every_column_of_the_plan_is_among_those_that_are_tampered_with() -> None:
    """``kind`` and ``step_number`` are told apart below, because they change what a row means."""
    assert {column.name for column in SessionRow.__table__.columns} == SESSION_STATE | set(TAMPERED_SESSION)
    assert {column.name for column in StepRow.__table__.columns} == STEP_STATE | set(TAMPERED_STEP)


def refused_as_changed(crew: Crew, number: int) -> None:
    crew.does("run", number)

    assert crew.machines.submitted == []
    assert crew.status(number) == N.FAILED
    [record] = crew.audit("approval_voided")
    assert record.data["fatal"] is True
    assert crew.session(number).reason.startswith("The stored plan is no longer")


@pytest.mark.parametrize("column", TAMPERED_SESSION)
def test_change_of_a_stored_column_of_the_plan_sends_nothing(crew: Crew, column: str) -> None:
    number = crew.approved(a_step(), a_free_step())

    crew.changes_session(number, **{column: TAMPERED_SESSION[column]})

    refused_as_changed(crew, number)


@pytest.mark.parametrize("step", [1, 2])
@pytest.mark.parametrize("column", TAMPERED_STEP)
def test_change_of_a_stored_column_of_any_step_sends_nothing(crew: Crew, column: str, step: int) -> None:
    """A change of a later step counts, too: the plan was approved as a whole."""
    number = crew.approved(a_step(), a_step(name="Second"))

    crew.changes_step(number, step, **{column: TAMPERED_STEP[column]})

    refused_as_changed(crew, number)


def test_step_that_was_added_or_turned_into_a_manual_one_sends_nothing(crew: Crew) -> None:
    number = crew.approved(a_step(), a_step(name="Second"))

    crew.changes_step(number, 2, step_number=3)

    refused_as_changed(crew, number)


def test_plan_that_is_changed_between_the_last_check_and_the_sending_is_sent_as_it_was_approved(crew: Crew) -> None:
    """The machine is asked after the check; what was checked is what is sent, whatever the rows say by then."""
    number = crew.approved(a_step(script="echo approved\n"))
    crew.machines.before["preflight"] = lambda: crew.changes_step(number, command="rm -rf /\n")

    crew.does("run", number)

    assert [command.script for command in crew.machines.submitted] in ([], ["echo approved\n"])


def test_gated_step_whose_approvers_were_removed_does_not_run_ungated(crew: Crew) -> None:
    number = crew.starts(a_free_step(), a_step())
    crew.changes_step(number, 2, audience=None)

    crew.runs(number)

    assert [command.step_number for command in crew.machines.submitted] == [1]
    assert crew.status(number) == N.FAILED


def test_approval_of_another_plan_does_not_cover_this_one(crew: Crew) -> None:
    number = crew.approved()
    other = digest_of(a_plan(a_step(script="true\n")))
    crew.changes(GateRow, {"session_id": number}, plan_digest=other)

    crew.does("run", number)

    assert crew.machines.submitted == []
    assert crew.status(number) == N.FAILED


def test_approval_of_another_attempt_does_not_cover_this_one(crew: Crew) -> None:
    number = crew.approved()
    crew.changes(GateRow, {"session_id": number}, attempt=5)

    crew.does("run", number)

    assert crew.machines.submitted == []
    assert crew.status(number) == N.FAILED


def test_gate_that_was_never_approved_covers_nothing(crew: Crew) -> None:
    """A step that somebody set to approved by hand has no approved gate."""
    number = crew.approved()
    crew.changes(GateRow, {"session_id": number}, status=GateStatus.CANCELLED)

    crew.does("run", number)

    assert crew.machines.submitted == []
    assert crew.status(number) == N.FAILED


# ------------------------------------------------------------ by people who may still approve it


def removes_votes(crew: Crew, number: int, *people: str) -> None:
    gate = crew.step(number).gate
    assert gate is not None
    with crew.database.engine.begin() as connection:
        mine = DecisionRow.gate_id == gate.id, DecisionRow.person_user.in_(people)
        connection.execute(delete(DecisionRow).where(*mine))


def asked_again(crew: Crew, number: int) -> None:
    assert crew.machines.submitted == []
    assert crew.gate(number).serial == 2
    assert crew.gate(number).decisions == ()
    assert crew.status(number) == N.WAITING_APPROVAL
    [record] = crew.audit("approval_voided")
    assert record.data["fatal"] is False


def test_approver_who_left_after_the_click_no_longer_counts_and_the_others_are_asked_again(crew: Crew) -> None:
    number = crew.approved()
    crew.people.members -= {"U0BOB"}

    crew.does("run", number)

    asked_again(crew, number)
    assert "Slack does not know you" in crew.step(number).reason
    crew.approves(number, CAROL)
    crew.runs(number)
    assert len(crew.machines.submitted) == 1


def test_vote_of_an_approver_who_became_a_guest_no_longer_counts(crew: Crew) -> None:
    number = crew.approved()
    crew.people.guests |= {"U0BOB"}

    crew.does("run", number)

    asked_again(crew, number)


def test_decisions_that_were_deleted_no_longer_make_a_quorum(crew: Crew) -> None:
    number = crew.starts(audience=an_audience(quorum=2))
    crew.approves(number, BOB)
    crew.approves(number, CAROL)

    removes_votes(crew, number, "U0CAROL")
    crew.does("run", number)

    asked_again(crew, number)


@pytest.mark.parametrize(
    "change",
    [
        {"person_user": "U0ALICE"},
        {"person_user": "U0DAVE"},
        {"person_team": "T0OTHER"},
        {"person_enterprise": "E0OTHER"},
        {"verdict": Verdict.REJECT},
    ],
    ids=lambda change: "=".join(map(str, *change.items())),
)
def test_decision_that_was_rewritten_to_somebody_elses_does_not_count(crew: Crew, change: dict[str, Any]) -> None:
    number = crew.approved()
    gate = crew.step(number).gate
    assert gate is not None

    crew.changes(DecisionRow, {"gate_id": gate.id}, **change)
    crew.does("run", number)

    asked_again(crew, number)


def test_while_slack_cannot_be_asked_the_approved_step_waits_and_keeps_its_approval(crew: Crew) -> None:
    number = crew.approved()
    crew.people.outage = True

    crew.does("run", number)

    assert crew.machines.submitted == []
    assert (crew.step(number).status, crew.count("approval_voided")) == (S.QUEUED, 0)
    crew.people.outage = False
    crew.runs(number)
    assert crew.status(number) == N.COMPLETED
    assert crew.count("step_approve") == 1


def test_ungated_step_needs_no_answer_from_slack(crew: Crew) -> None:
    number = crew.starts(a_free_step())
    crew.people.outage = True

    crew.runs(number)

    assert crew.status(number) == N.COMPLETED


# ------------------------------------------------------------ retries


def test_proven_failure_is_tried_again_as_an_attempt_of_its_own_and_only_as_often_as_approved(crew: Crew) -> None:
    number = crew.approved(a_step(script="exit 3\n", retries=2))

    crew.runs(number)

    attempts = [(command.attempt_number, command.attempt_id) for command in crew.machines.submitted]
    assert [n for n, _ in attempts] == [1, 2, 3]
    assert len({attempt for _, attempt in attempts}) == 3
    assert (crew.status(number), crew.count("step_approve")) == (N.FAILED, 1)


def test_retry_waits_until_the_attempt_before_it_has_ended(crew: Crew) -> None:
    crew.machines.holding = True
    number = crew.approved(a_step(script="exit 3\n", retries=1))

    crew.works()
    crew.waits(minutes=1)
    crew.works()

    assert len(crew.machines.submitted) == 1
    assert crew.attempt(number).status in {AttemptStatus.ACCEPTED, AttemptStatus.RUNNING}


def test_retry_that_succeeds_ends_well(crew: Crew) -> None:
    crew.machines.will_end(printed("no\n", 1), printed("yes\n"))
    number = crew.approved(a_step(retries=1, expect=Expect(contains=("yes",))))

    crew.runs(number)

    assert (crew.status(number), crew.step(number).attempts) == (N.COMPLETED, 2)


def test_unknown_outcome_is_not_tried_again_although_retries_are_left(crew: Crew) -> None:
    crew.machines.will_end(printed(status=AttemptStatus.UNKNOWN, exit_code=None))
    number = crew.approved(a_step(retries=3))

    crew.runs(number)

    assert len(crew.machines.submitted) == 1
    assert crew.status(number) == N.NEEDS_ATTENTION


def test_only_the_attempts_of_a_session_are_on_record(crew: Crew) -> None:
    number = crew.approved(a_step(script="exit 3\n", retries=1))
    crew.runs(number)

    with crew.database.engine.connect() as connection:
        rows = connection.execute(AttemptRow.__table__.select()).mappings().all()

    assert sorted(row["number"] for row in rows) == [1, 2]
    assert {row["id"] for row in rows} == {command.attempt_id for command in crew.machines.submitted}
