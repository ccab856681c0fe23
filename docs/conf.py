"""How `make docs` builds the guide: https://www.sphinx-doc.org/en/master/usage/configuration.html"""

from urllib.parse import urlsplit

from docutils import nodes
from sphinx.util import logging

project = "ffiwheel"
extensions = ["myst_parser"]
exclude_patterns = ["*/**"]  # a folder is an example, not a page
myst_heading_anchors = 3  # a link may end with a heading's name, as on GitHub
html_theme = "alabaster"
html_theme_options = {
    "description": "One wheel per platform, for every Python",
    "fixed_sidebar": True,
    "page_width": "1080px",
    "sidebar_width": "240px",
}
html_sidebars = {"**": ["about.html", "searchfield.html", "navigation.html"]}
html_copy_source = False


def check_addresses(app, doctree, name):
    """Warns of an address that no server can have. Whether one answers is not asked: the build
    needs no network. Links between pages are Sphinx's to check."""
    for link in doctree.findall(nodes.reference):
        address = link.get("refuri", "")
        parts = urlsplit(address)
        if parts.scheme and (parts.scheme != "https" or "." not in (parts.hostname or "")):
            text = "%s is not an https:// address of a server"
            logging.getLogger(__name__).warning(text, address, location=link)


def setup(app):
    app.connect("doctree-resolved", check_addresses)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
