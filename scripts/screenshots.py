"""Pictures of the report and of the explorer of a cube, taken with headless Chromium.

    python scripts/screenshots.py CUBE FOLDER

report.png is the whole report, overview.png its first figures (the README shows it), explorer.png the explorer.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts.browser import Page, browser  # noqa: E402

LEGENDS = """[...Bokeh.documents[0]._all_models.values()]
  .filter((model) => model.type === "LegendItem").map((model) => model.label.value).join("|")"""
BUTTON = """everywhere(document, "button").find((button) => button.textContent.trim() === "Predict").click()"""


def main(cube: str, folder: Path) -> None:
    """Writes the three pictures."""
    with tempfile.TemporaryDirectory() as scratch, browser(offline=False) as page:
        file = Path(scratch) / "report.html"
        subprocess.run([*SPIKECUBE, "report", cube, "-o", str(file)], check=True, stdout=subprocess.DEVNULL)
        page.open(file.as_uri(), width=1200, height=1000)
        page.wait("document.body.dataset.ready")
        page.screenshot(folder / "report.png")
        page.screenshot(folder / "overview.png", clip=box(page, "#film-spectrum", "#film-train"))
        take_explorer(page, cube, folder)


SPIKECUBE = (sys.executable, "-m", "spikecube")


def box(page: Page, first: str, last: str) -> tuple[float, float, float, float]:
    """The rectangle from the section of one element to that of another."""
    return tuple(
        page.run(f"""(() => {{
          const edge = (name) => document.querySelector(name).closest("section").getBoundingClientRect();
          const [a, b] = [edge("{first}"), edge("{last}")];
          return [a.x + scrollX, a.y + scrollY, a.width, b.bottom - a.y];
        }})()""")
    )


def take_explorer(page: Page, cube: str, folder: Path) -> None:
    """Serves the explorer, asks it for the prediction, and takes its picture."""
    server = subprocess.Popen([*SPIKECUBE, "explore", cube, "--no-browser"], stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        said = server.stderr.readline()
        found = re.search(r"http://localhost:\d+/", said)
        assert found, said
        page.open(found[0] + "?left=singular&right=test", width=1500, height=620)
        page.wait("ink().length >= 2")
        page.run(BUTTON)
        page.wait(f"({LEGENDS}).includes('predicted')")
        page.screenshot(folder / "explorer.png", full=False)
    finally:
        server.terminate()
        server.wait(timeout=30)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
