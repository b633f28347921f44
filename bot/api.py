"""The HTTP API: the same use cases and the same rules as a click, for programs and for days without Slack.

A bearer token says who the caller is; there are no cookies, and no cross-origin access. Handlers are plain
functions, so that FastAPI runs them in threads.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, HTTPException, Path, Query, Request, Response
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from bot import api_models as models
from bot.slack_http import Rejected, single
from engine.errors import (
    Bug,
    Conflict,
    Expired,
    InvalidInput,
    NotAllowed,
    NotFound,
    Precondition,
    Refused,
    RunbookError,
    Unverifiable,
)
from engine.model import Actor, Place, SessionStatus, Source, Verdict
from engine.policy import Policy
from engine.ports import Ids
from engine.preparation import StartRequest
from engine.service import Ballot, Service

STATUS_FOR: tuple[tuple[type[RunbookError], int], ...] = (
    (Unverifiable, 503),
    (InvalidInput, 400),
    (NotFound, 404),
    (NotAllowed, 403),
    (Expired, 410),
    (Precondition, 412),
    (Conflict, 409),
    (Refused, 400),
    (Bug, 500),
)
#: ``default`` also keeps FastAPI from describing its own 422, which is never sent
ANSWERS: dict[int | str, dict[str, Any]] = {
    code: {"model": models.ProblemOut} for code in (400, 401, 403, 404, 409, 410, 412, 413, 503, "default")
}
SessionId = Annotated[int, Path(ge=1, le=2**31 - 1)]
_bearer = HTTPBearer(auto_error=False, description="A token whose SHA-256 stands in the policy file.")


class _ReadOnce(Request):
    """A body that two parsers could read in two ways is refused."""

    async def json(self) -> Any:
        text = (await self.body()).decode("utf-8")
        try:
            return json.loads(text, object_pairs_hook=single)
        except Rejected as rejected:
            raise HTTPException(400, f"Malformed body: {rejected.reason}.") from None


class _Route(APIRoute):
    """A route whose body is read in one way only."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def strictly(request: Request) -> Response:
            return await handle(_ReadOnce(request.scope, request.receive))

        return strictly


def status_for(error: RunbookError) -> int:
    """Return the HTTP status of a refusal."""
    return next((code for kind, code in STATUS_FOR if isinstance(error, kind)), 503)


def build_router(service: Service, policy: Policy, ids: Ids, *, default_channel: str) -> APIRouter:
    """Return the routes under ``/api/v1/agent``."""
    router = APIRouter(prefix="/api/v1/agent", tags=["agent"], responses=ANSWERS, route_class=_Route)

    def caller(credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> Actor:
        known = policy.bearer(credentials.credentials) if credentials else None
        if known is None:
            raise HTTPException(
                status_code=401,
                detail="Send a known bearer token.",
                headers={"WWW-Authenticate": "Bearer"},
            )
        person, name = known
        return Actor(person=person, source=Source.API, name=name)

    # a default, not an annotation: FastAPI reads annotations from text, where local names are not known
    who: Actor = Depends(caller)
    _add_start(router, service, who, ids=ids, home=Place(team=policy.document.workspace.team, channel=default_channel))
    _add_decisions(router, service, who)
    _add_reads(router, service, who)
    return router


def _add_start(router: APIRouter, service: Service, who: Actor, *, ids: Ids, home: Place) -> None:
    @router.post("/execute", status_code=201, response_model=models.SessionOut)
    def execute(
        body: models.ExecuteIn,
        actor: Actor = who,
        idempotency_key: Annotated[str, Header(max_length=200)] = "",
    ) -> models.SessionOut:
        """Resolve, check, freeze the plan and begin a session."""
        channel = body.channel or home.channel
        request = StartRequest(
            key=f"api:{actor}:{idempotency_key or ids.token()}",
            runbook=body.runbook,
            actor=actor,
            values=body.parameters,
            vm=body.vm,
            ticket=body.ticket,
            place=Place(team=home.team, channel=channel) if channel else None,
        )
        return models.SessionOut.of(service.view(service.start(request).id))


def _add_decisions(router: APIRouter, service: Service, who: Actor) -> None:
    @router.post("/{session_id}/approve-step", response_model=models.SessionOut)
    def approve_step(
        session_id: SessionId,
        step_number: Annotated[int, Query(ge=1, le=100)],
        body: models.DecisionIn,
        actor: Actor = who,
    ) -> models.SessionOut:
        """Approve or reject exactly this step; another one is never decided in its place."""
        ballot = Ballot(
            actor=actor,
            verdict=Verdict.APPROVE if body.approve else Verdict.REJECT,
            reason=body.notes,
            session_id=session_id,
            step_number=step_number,
        )
        return models.SessionOut.of(service.view(service.decide(ballot).id))

    @router.post("/{session_id}/cancel", response_model=models.SessionOut)
    def cancel(
        session_id: SessionId,
        actor: Actor = who,
        body: models.CancelIn | None = None,
    ) -> models.SessionOut:
        """Call a session off; a command that runs is asked to stop."""
        reason = body.reason if body else ""
        return models.SessionOut.of(service.view(service.cancel(session_id, actor, reason).id))


def _add_reads(router: APIRouter, service: Service, who: Actor) -> None:
    @router.get("/pending-approvals", response_model=models.PendingListOut)
    def pending_approvals(
        _: Actor = who,
        limit: Annotated[int, Query(ge=1, le=100)] = 50,
        after: Annotated[int, Query(ge=0)] = 0,
    ) -> models.PendingListOut:
        """List the open approval requests, oldest first."""
        views = service.waiting(limit=limit, after=after)
        return models.PendingListOut(
            pending_approvals=[models.PendingOut.of(view.session) for view in views],
            next_after=views[-1].session.id if len(views) == limit else None,
        )

    @router.get("/sessions", response_model=models.SessionsOut)
    def sessions(
        _: Actor = who,
        status: SessionStatus | None = None,
        ticket: Annotated[str, Query(max_length=200)] = "",
        limit: Annotated[int, Query(ge=1, le=100)] = 50,
        before: Annotated[int | None, Query(ge=1)] = None,
    ) -> models.SessionsOut:
        """List the newest sessions, newest first."""
        rows = service.recent(status=status, ticket=ticket, limit=limit, before=before)
        return models.SessionsOut(
            sessions=[models.SummaryOut.of(row) for row in rows],
            next_before=rows[-1].id if len(rows) == limit else None,
        )

    @router.get("/{session_id}", response_model=models.DetailOut)
    def one(session_id: SessionId, _: Actor = who) -> models.DetailOut:
        """Return a session, its steps, and the sentence that says what it waits for."""
        return _detail(service, session_id)

    @router.get("/{session_id}/steps", response_model=models.DetailOut)
    def steps(session_id: SessionId, _: Actor = who) -> models.DetailOut:
        """Return a session with its steps."""
        return _detail(service, session_id)


def _detail(service: Service, session_id: int) -> models.DetailOut:
    view = service.view(session_id)
    head = models.SessionOut.of(view).model_dump()
    steps = [models.StepOut.of(step, service.output(session_id, step.number)) for step in view.session.steps]
    return models.DetailOut(**head, steps=steps)
