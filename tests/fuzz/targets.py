"""Every fuzz target, by name. Hypothesis, the replay of the corpus and the coverage-guided run all start here."""

from __future__ import annotations

from collections.abc import Mapping

from tests.fuzz.documents import RUNBOOK
from tests.fuzz.door import HTTP
from tests.fuzz.interactive import PAYLOAD
from tests.fuzz.machines import ARM, GUEST
from tests.fuzz.pictures import VIEWS
from tests.fuzz.redaction import REDACTOR
from tests.fuzz.slash import SLASH
from tests.fuzz.target import Target

TARGETS: Mapping[str, Target] = {
    target.name: target for target in (SLASH, RUNBOOK, PAYLOAD, HTTP, REDACTOR, VIEWS, ARM, GUEST)
}
