"""Parses HTML as browsers do, by html5ever.

Text is `str` (Python 2: `unicode`). Errors in Rust are raised as exceptions.
"""

from ._ffi import VERSION as __version__
from ._load import TEXT
from ._native import RustPanic, check, ffi, lib, with_callback

__all__ = ["Builder", "Comment", "Doctype", "Element", "Node", "RustPanic", "__version__", "parse"]


class Node(object):
    """A document, or the contents of a template: what has children.

    children: a list of nodes and texts; parent: the node that has this one among them, or None.
    """

    def __init__(self):
        self.parent = None
        self.children = []


class Element(Node):
    """namespace, name: texts; attributes: {(namespace, name): value}, of texts;
    contents: of a template, a Node."""

    def __init__(self, namespace, name):
        Node.__init__(self)
        self.namespace = namespace
        self.name = name
        self.attributes = {}
        self.contents = None


class Comment(object):
    """text: what it says; parent: a Node."""

    def __init__(self, text):
        self.parent = None
        self.text = text


class Doctype(object):
    """name, public_id, system_id: texts, which may be empty; parent: the document."""

    def __init__(self, name, public_id, system_id):
        self.parent = None
        self.name = name
        self.public_id = public_id
        self.system_id = system_id


class Builder(object):
    """What parse() calls to build a tree. A subclass can build another one, or none: a node is
    whatever a method here returns. What a method raises ends the parsing."""

    def document(self):
        """Returns the document, which parse() returns in the end."""
        return Node()

    def element(self, namespace, name):
        """Returns a new element. Both: text."""
        return Element(namespace, name)

    def attribute(self, element, namespace, name, value):
        """Gives an attribute to an element that has none of that name. The last three: text."""
        element.attributes.setdefault((namespace, name), value)

    def comment(self, text):
        """Returns a new comment."""
        return Comment(text)

    def contents(self, template):
        """Returns a new node for the contents of a <template>, which are not its children."""
        template.contents = Node()
        return template.contents

    def doctype(self, document, name, public_id, system_id):
        """Appends the document's type to it. The last three: text."""
        self.append(document, Doctype(name, public_id, system_id))

    def append(self, parent, node):
        """Appends a node, which has no parent."""
        self._put(parent, len(parent.children), node)

    def append_text(self, parent, text):
        """Appends text, to that which is there last if there is some."""
        self._put_text(parent, len(parent.children), text)

    def insert(self, sibling, node):
        """Inserts a node, which may have a parent, before its new sibling."""
        self.remove(node)
        self._put(sibling.parent, sibling.parent.children.index(sibling), node)

    def insert_text(self, sibling, text):
        """Inserts text before a node, after that which is there if there is some."""
        self._put_text(sibling.parent, sibling.parent.children.index(sibling), text)

    def remove(self, node):
        """Removes a node from its parent, if it has one."""
        if node.parent is not None:
            node.parent.children.remove(node)
            node.parent = None

    def move_children(self, old, new):
        """Appends all the children of one node to those of another."""
        for child in old.children:
            if not isinstance(child, TEXT):
                child.parent = new
        new.children += old.children
        del old.children[:]

    def _put(self, parent, index, node):
        parent.children.insert(index, node)
        node.parent = parent

    def _put_text(self, parent, index, text):
        children = parent.children
        if index and isinstance(children[index - 1], TEXT):
            children[index - 1] += text
        else:
            children.insert(index, text)


# What an action calls: a method of the builder, with so many nodes and texts.
CALLS = {
    lib.html5_tree_Action_Element: ("element", 0, 2),
    lib.html5_tree_Action_Attribute: ("attribute", 1, 3),
    lib.html5_tree_Action_Comment: ("comment", 0, 1),
    lib.html5_tree_Action_Contents: ("contents", 1, 0),
    lib.html5_tree_Action_Doctype: ("doctype", 1, 3),
    lib.html5_tree_Action_Append: ("append", 2, 0),
    lib.html5_tree_Action_AppendText: ("append_text", 1, 1),
    lib.html5_tree_Action_Insert: ("insert", 2, 0),
    lib.html5_tree_Action_InsertText: ("insert_text", 1, 1),
    lib.html5_tree_Action_Remove: ("remove", 1, 0),
    lib.html5_tree_Action_MoveChildren: ("move_children", 2, 0),
}


def parse(html, builder=None):
    """Returns the document (a Node, or what the builder makes of it).

    html: text, or bytes in UTF-8, of which those that are not valid count as U+FFFD;
    builder: a Builder, whose exceptions come out of here.
    """
    builder = builder or Builder()
    html = html.encode("utf-8") if isinstance(html, TEXT) else html
    if not isinstance(html, bytes):
        raise TypeError("expected text or bytes, not %s" % type(html).__name__)
    calls = {
        action: (getattr(builder, name), nodes, texts)
        for action, (name, nodes, texts) in CALLS.items()
    }
    nodes = {0: builder.document()}

    def build(_, step):
        method, of_nodes, of_texts = calls[step.action]
        arguments = [nodes[number] for number in step.nodes[0:of_nodes]]
        for text in step.texts[0:of_texts]:
            arguments.append(ffi.buffer(text.data, text.length)[:].decode("utf-8"))
        made = method(*arguments)
        if step.made:
            nodes[step.made] = made

    view = ffi.from_buffer("uint8_t[]", html)
    result = with_callback(
        "html5_tree_Build",
        build,
        lambda callback: lib.html5_tree_parse((view, len(view)), callback, ffi.NULL),
    )
    check(result, -1)
    return nodes[0]
