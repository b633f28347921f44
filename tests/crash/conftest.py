"""The stage, the scene and the rows of the journeys, for tests that end the product's process."""

from tests.journeys.conftest import idle_stage, rows, runbook_dir, scene, stage, way

__all__ = ["idle_stage", "rows", "runbook_dir", "scene", "stage", "way"]
