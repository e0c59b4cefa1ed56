"""axe-core in a page: what it calls serious."""

from playwright.sync_api import Page

from tests.services.embedded import ROOT

AXE = ROOT / "infra" / "readers" / "node_modules" / "axe-core" / "axe.min.js"
MISSING = None if AXE.is_file() else "axe-core is not installed: make system-deps"


def serious(page: Page) -> list[str]:
    """A line for each finding, serious or critical."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run().then(({violations}) => violations)")
    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found if one["impact"] in ("serious", "critical")]
