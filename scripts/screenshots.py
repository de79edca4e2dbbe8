"""Pictures of the report and of the explorer of a cube, taken with headless Chromium.

    python scripts/screenshots.py CUBE FOLDER

report-1440.png, report-390.png, report-dark.png and report-print.pdf are the whole report on a wide screen, a phone, by
night and on paper, overview.png is its first screen (the README shows it), explorer.png the explorer, collapse.png the
fit of a made-up table.
"""

from __future__ import annotations

import base64
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from scripts.browser import Page, browser  # noqa: E402

LEGENDS = """[...Bokeh.documents[0]._all_models.values()]
  .filter((model) => model.type === "LegendItem").map((model) => model.label.value).join("|")"""
BUTTON = """everywhere(document, "button").find((button) => button.textContent.trim() === "Predict").click()"""


def main(cube: str, folder: Path) -> None:
    """Writes the pictures."""
    with tempfile.TemporaryDirectory() as scratch, browser(offline=False) as page:
        file = Path(scratch) / "report.html"
        subprocess.run([*SPIKECUBE, "report", cube, "-o", str(file)], check=True, stdout=subprocess.DEVNULL)
        take_report(page, file, folder)
        take_explorer(page, cube, folder)
        take_collapse(page, Path(scratch), folder)


SPIKECUBE = (sys.executable, "-m", "spikecube")


def take_report(page: Page, file: Path, folder: Path) -> None:
    """The report as it is seen on screens of two widths, by night, and on paper."""
    for name, width, scheme in (("1440", 1440, "light"), ("390", 390, "light"), ("dark", 1440, "dark")):
        page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        page.open(file.as_uri(), width=width, height=930)
        page.wait("document.body.dataset.ready")
        if name == "1440":
            page.screenshot(folder / "overview.png", full=False)
        page.screenshot(folder / f"report-{name}.png")
    data = page.call("Page.printToPDF", printBackground=True, preferCSSPageSize=True)["data"]
    (folder / "report-print.pdf").write_bytes(base64.b64decode(data))


def take_explorer(page: Page, cube: str, folder: Path) -> None:
    """Serves the explorer, asks it for the prediction, and takes its picture by day."""
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "light"}])
    server = subprocess.Popen([*SPIKECUBE, "explore", cube, "--no-browser"], stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        said = server.stderr.readline()
        found = re.search(r"http://localhost:\d+/", said)
        assert found, said
        page.open(found[0] + "?left=singular&right=test", width=1500, height=620)
        page.wait("ink().length >= 2")
        page.run(BUTTON)
        page.wait(f"({LEGENDS}).includes('predicted limit')")
        page.screenshot(folder / "explorer.png", full=False)
    finally:
        server.terminate()
        server.wait(timeout=30)


def take_collapse(page: Page, scratch: Path, folder: Path) -> None:
    """The collapse of `data/made-up.csv`, as the README has it."""
    table, plot = ROOT / "data" / "made-up.csv", scratch / "collapse.html"
    table.write_text(made_up_curves(), encoding="utf-8")
    columns = ("--size", "L", "--control", "T", "--value", "m", "--stderr", "dm")
    command = [*SPIKECUBE, "fit", str(table), *columns, "--law", "collapse", "--plot", str(plot)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    page.open(plot.as_uri(), width=720, height=580)
    page.wait("ink().length >= 1")
    page.screenshot(folder / "collapse.png", full=False)


def made_up_curves() -> str:
    """A table of curves of five sizes: critical 2.27, nu 1, zeta -0.125, one per cent of noise."""
    rng = np.random.default_rng(2)
    rows = ["L,T,m,dm"]
    for size in (8, 16, 32, 64, 128):
        for control in np.linspace(2.0, 2.6, 25):
            error = 0.01 * size**-0.125
            value = size**-0.125 / (1 + np.exp(0.8 * (control - 2.27) * size)) + error * rng.standard_normal()
            rows.append(f"{size},{control:.4f},{value:.6f},{error:.6f}")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
