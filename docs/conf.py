"""The documentation site: these pages, those at the top of the repository, and the docstrings. `.ci/docs` builds it."""

import re
from typing import Any

import bothways

project = "bothways"
author = copyright = "The bothways developers"
version = release = bothways.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]

html_theme = "furo"
html_title = f"bothways {release}"
myst_heading_anchors = 3
smartquotes = False  # which make one dash of the two before an option

default_role = "py:obj"  # names in docstrings link to where they are described
napoleon_use_ivar = True
napoleon_custom_sections = [("Call arguments", "params_style")]
autodoc_member_order = "bysource"
autodoc_default_options = {"exclude-members": "set_fit_request, set_score_request"}  # of scikit-learn
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 100

PAGES = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "benchmarks": "benchmarks.md",
}


def _links_from_here(_app: Any, _path: Any, _page: str, content: list[str]) -> None:
    """Turn the links of an included page, which stand as seen from the top of the repository."""
    content[0] = re.sub(
        r"(?<=\]\()(?!https?:|#)([^)]+)",
        lambda link: PAGES.get(link[1]) or (link[1].removeprefix("docs/") if "docs/" in link[1] else f"../{link[1]}"),
        content[0],
    )


def _first_line(_app: Any, what: str, _name: str, _module: Any, _options: Any, lines: list[str]) -> None:
    """Leave out what a module says to those who work on it."""
    if what == "module":
        del lines[1:]


def setup(app: Any) -> None:
    """Have Sphinx call what is above."""
    app.connect("include-read", _links_from_here)
    app.connect("autodoc-process-docstring", _first_line)
