"""The configuration of Sphinx, which makes the documentation site (`make docs`)."""

import re
import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(_HERE.parent))

project = "image-anonymisation"
copyright = "the contributors of image-anonymisation, Apache-2.0"  # noqa: A001 - the name that Sphinx reads
_VERSION = re.search(r'__version__ = "([^"]+)"', (_HERE.parent / "anonymisation/__init__.py").read_text("utf-8"))
release = version = _VERSION[1] if _VERSION else ""

extensions = ["myst_parser", "sphinx_copybutton", "scripts.docs_site.links", "scripts.docs_site.diagrams"]
source_suffix = {".md": "markdown"}
root_doc = "index"
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence", "deflist"]
suppress_warnings = ["myst.header"]  # a page of the repository may begin with a heading of any level

# Everything comes from the site itself: no fonts, scripts or styles of other hosts, and no trace of its readers.
html_theme = "furo"
html_title = f"image-anonymisation {release}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#0b5a7d", "color-brand-content": "#0b5a7d"},
    "dark_css_variables": {"color-brand-primary": "#6cc3ea", "color-brand-content": "#6cc3ea"},
}
pygments_style, pygments_dark_style = "tango", "monokai"
copybutton_exclude = ".linenos, .gp, .go"
highlight_language = "none"
