"""Sphinx: python -m sphinx -W docs docs/_build (in an environment with the docs extra)."""

import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import made

from spikecube import __version__

project = "spikecube"
author = "The spikecube developers"
copyright = "2026, The spikecube developers"
release = __version__
extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx-mathjax-offline",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build", "jupyter_execute", "reference/made", "reference/timings"]
html_theme = "furo"
html_title = "spikecube"
html_static_path = ["_static", "reference/made/static"]
html_css_files = ["docs.css"]
myst_enable_extensions = ["amsmath", "dollarmath"]
nb_render_markdown_format = "gfm"
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 120
nb_merge_streams = True
numpydoc_show_class_members = False
autosummary_generate = True
autodoc_typehints = "none"


made.write_all()


def plain_equations(app, what, name, obj, options, lines):
    """Docstrings write equations as plain text: keep |x|, x_i and a * b from being read as markup.

    Examples and blocks after a double colon are code, and stay as they are.
    """
    in_example = in_block = False
    for i, line in enumerate(lines):
        in_example = line.lstrip().startswith((">>>", "...")) or (in_example and bool(line.strip()))
        in_block = in_block and (not line.strip() or line.startswith("    "))
        if not in_example and not in_block:
            lines[i] = re.sub(r"([|*_])", r"\\\1", line) if "``" not in line else line
        in_block = in_block or line.endswith("::")


def scripts_of_views(app, pagename, templatename, context, doctree):
    """A page with pictures of views loads what draws them, from beside it; other pages load nothing."""
    if '<figure class="view"' in context.get("body", ""):
        for name in ("bokeh.min.js", "paint.js", "pictures.js"):
            app.add_js_file(name)


def setup(app):
    """Docstrings before numpydoc reads them."""
    app.connect("html-page-context", scripts_of_views)
    app.connect("autodoc-process-docstring", plain_equations, priority=100)
