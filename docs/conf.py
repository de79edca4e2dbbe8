"""Sphinx: python -m sphinx -W docs docs/_build (in an environment with the docs extra)."""

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
    "sphinx.ext.mathjax",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "spikecube"
html_static_path = ["_static"]
myst_enable_extensions = ["amsmath", "dollarmath"]
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 120
numpydoc_show_class_members = False
autosummary_generate = True
autodoc_typehints = "none"
