"""Runs the installed package through its public API. Python 2.7 and 3.x. It prints one line and
exits 0, or fails. `make wheels`, `make smoke` and `make test` run it wherever a wheel can run."""

from __future__ import unicode_literals

import gc
import weakref

import html5_tree

TEXT = type("")
HTML = "http://www.w3.org/1999/xhtml"


def outline(node, depth=0):
    """A line a node, as in the tests of html5lib."""
    for child in node.children:
        if isinstance(child, TEXT):
            yield "  " * depth + '"%s"' % child
        elif isinstance(child, html5_tree.Comment):
            yield "  " * depth + "<!-- %s -->" % child.text
        elif isinstance(child, html5_tree.Doctype):
            yield "  " * depth + "<!DOCTYPE %s>" % child.name
        else:
            yield "  " * depth + "<%s>" % child.name
            for (_, name), value in sorted(child.attributes.items()):
                yield "  " * depth + '  %s="%s"' % (name, value)
            for inner in filter(None, [child, child.contents]):
                for line in outline(inner, depth + 1):
                    yield line


def body(html):
    """The outline of what is in the body, in a line."""
    lines = list(outline(html5_tree.parse(html)))
    return " ".join(line.strip() for line in lines[lines.index("  <body>") + 1 :])


def check(found, expected):
    assert found == expected, "%r, not %r" % (found, expected)


class Failing(html5_tree.Builder):
    """Raises for the comment "stop", and lists the comments that it got."""

    def __init__(self):
        self.texts = []

    def comment(self, text):
        self.texts.append(text)
        if text == "stop":
            raise KeyError(text)
        return html5_tree.Builder.comment(self, text)


def main():
    page = '<!DOCTYPE html><title>Zo\u00eb</title><p class=a id="b">one<br>two<!--\U0001f980-->'
    expected = [
        "<!DOCTYPE html>",
        "<html>",
        "  <head>",
        "    <title>",
        '      "Zo\u00eb"',
        "  <body>",
        "    <p>",
        '      class="a"',
        '      id="b"',
        '      "one"',
        "      <br>",
        '      "two"',
        "      <!-- \U0001f980 -->",
    ]
    for html in (page, page.encode("utf-8")):
        check(list(outline(html5_tree.parse(html))), expected)
    check(body(b"Zo\xeb\0"), '"Zo\ufffd"')
    check(body("\u00eb" * 100001), '"%s"' % ("\u00eb" * 100001))  # It is parsed in pieces.

    # What moves nodes: tables, wrong nesting, a second <body>.
    check(body("<table>a<b>c<tr><td>d"), '"a" <b> "c" <table> <tbody> <tr> <td> "d"')
    check(body("<b>1<p>2</b>3</p>"), '<b> "1" <p> <b> "2" "3"')
    check(body("<body a=1><body a=2 b=3>x"), 'a="1" b="3" "x"')
    check(body("<p><template>a<b>c</template>d"), '<p> <template> "a" <b> "c" "d"')
    check(body("<svg viewbox=1 xlink:href=x>"), '<svg> viewBox="1" href="x"')
    check(
        body("<math><annotation-xml encoding=text/html><p>"),
        '<math> <annotation-xml> encoding="text/html" <p>',
    )

    document = html5_tree.parse("<p>x")
    (html,) = document.children
    check((html.namespace, html.name, html.parent), (HTML, "html", document))

    # An exception ends the parsing at once, and comes out as itself.
    failing = Failing()
    try:
        html5_tree.parse("<!--a--><p><!--stop--><!--b-->", failing)
    except KeyError as error:
        check(error.args, ("stop",))
    else:
        raise AssertionError("no error was raised")
    check(failing.texts, ["a", "stop"])
    try:
        html5_tree.parse(1)
    except TypeError as error:
        check(str(error), "expected text or bytes, not int")
    else:
        raise AssertionError("no error was raised")

    # Nothing of a tree is left when its last reference goes.
    deep = html5_tree.parse("<div>" * 1000)
    last = weakref.ref(deep.children[0])
    del deep
    for _ in range(3):
        gc.collect()
    check(last(), None)

    print("html5_tree %s is right" % html5_tree.__version__)


main()
