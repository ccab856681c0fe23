//! What Python sees of `html5-tree`. After a change run `make header`.

#![deny(unsafe_code)] // An export that avoids the gate needs `unsafe` or `no_mangle`.

#[allow(unsafe_code)]
mod ffi;

use std::borrow::Cow;
use std::cell::Cell;
use std::os::raw::c_void;
use std::rc::Rc;

use html5ever::interface::{ElementFlags, NodeOrText, QuirksMode, TreeSink};
use html5ever::tendril::{StrTendril, TendrilSink};
use html5ever::{parse_document, Attribute, ExpandedName, QualName};

use ffi::{export, export_enum, export_struct, Bytes, Error};

/// The parser copies the document piece by piece, of at most so many bytes.
const PIECE: usize = 1 << 16;

const NONE: [&str; 3] = [""; 3];

export_enum! {
    /// What to do, and with which nodes and texts.
    pub enum Action: u8 {
        /// Make an element: namespace, name.
        Element = 1,
        /// Give an element an attribute, if it has none of that name: namespace, name, value.
        Attribute = 2,
        /// Make a comment: text.
        Comment = 3,
        /// Make a node for the contents of a template.
        Contents = 4,
        /// Append a document type to the document: name, public and system identifiers.
        Doctype = 5,
        /// Append to a node a second one, which has no parent.
        Append = 6,
        /// Append to a node: text.
        AppendText = 7,
        /// Insert before a node a second one, which may have a parent.
        Insert = 8,
        /// Insert before a node: text.
        InsertText = 9,
        /// Remove a node from its parent, if it has one.
        Remove = 10,
        /// Append all children of a node to those of a second one.
        MoveChildren = 11,
    }
}

export_struct! {
    /// UTF-8, lent for the time of a callback.
    pub struct Utf8 {
        /// The first byte; not to be read where the length is 0.
        pub data: *const u8,
        pub length: usize,
    }
}

export_struct! {
    /// A step of building a tree. Nodes are numbers, of which 0 is the document.
    pub struct Step {
        pub action: Action,
        /// The node that it makes, or 0.
        pub made: u32,
        pub nodes: [u32; 2],
        pub texts: [Utf8; 3],
    }
}

/// Called for each step of building a tree, on the calling thread, with the `user_data` that came
/// with it. 0 means go on; any other value ends the parsing with an error.
pub type Build = Option<extern "C" fn(user_data: *mut c_void, step: Step) -> i32>;

/// What the parser must know of a node that Python has.
#[derive(Default)]
struct Node {
    number: u32,
    name: Option<QualName>,
    contents: Option<Handle>,
    is_integration_point: bool,
    has_parent: Cell<bool>,
}

type Handle = Rc<Node>;

struct Sink<F> {
    build: F,
    document: Handle,
    /// How many nodes there are, beside the document.
    made: Cell<u32>,
}

impl<F: Fn(Step) -> i32> Sink<F> {
    fn step(&self, action: Action, made: u32, nodes: [u32; 2], texts: [&str; 3]) {
        let texts = texts.map(|text| Utf8 {
            data: text.as_ptr(),
            length: text.len(),
        });
        match (self.build)(Step {
            action,
            made,
            nodes,
            texts,
        }) {
            0 => {}
            answer => Error::callback(answer).throw(),
        }
    }

    fn tell(&self, action: Action, nodes: [u32; 2], texts: [&str; 3]) {
        self.step(action, 0, nodes, texts);
    }

    fn make(&self, action: Action, node: u32, texts: [&str; 3]) -> Node {
        let number = self.made.get() + 1;
        self.made.set(number);
        self.step(action, number, [node, 0], texts);
        Node {
            number,
            ..Node::default()
        }
    }

    fn put(&self, at: &Handle, child: NodeOrText<Handle>, node: Action, text: Action) {
        match child {
            NodeOrText::AppendNode(child) => {
                child.has_parent.set(true);
                self.tell(node, [at.number, child.number], NONE);
            }
            NodeOrText::AppendText(data) => self.tell(text, [at.number, 0], [&data, "", ""]),
        }
    }
}

impl<F: Fn(Step) -> i32> TreeSink for Sink<F> {
    type Handle = Handle;
    type Output = ();
    type ElemName<'a>
        = ExpandedName<'a>
    where
        F: 'a;

    fn finish(self) {}

    fn parse_error(&self, _: Cow<'static, str>) {}

    fn set_quirks_mode(&self, _: QuirksMode) {}

    fn get_document(&self) -> Handle {
        self.document.clone()
    }

    fn elem_name<'a>(&'a self, element: &'a Handle) -> ExpandedName<'a> {
        element.name.as_ref().expect("an element").expanded()
    }

    fn create_element(&self, name: QualName, attrs: Vec<Attribute>, flags: ElementFlags) -> Handle {
        let element = self.make(Action::Element, 0, [&name.ns, &name.local, ""]);
        let number = element.number;
        let contents = flags
            .template
            .then(|| self.make(Action::Contents, number, NONE));
        let element = Rc::new(Node {
            name: Some(name),
            contents: contents.map(Rc::new),
            is_integration_point: flags.mathml_annotation_xml_integration_point,
            ..element
        });
        self.add_attrs_if_missing(&element, attrs);
        element
    }

    fn add_attrs_if_missing(&self, element: &Handle, attrs: Vec<Attribute>) {
        for Attribute { name, value } in attrs {
            let texts = [&*name.ns, &*name.local, &*value];
            self.tell(Action::Attribute, [element.number, 0], texts);
        }
    }

    fn create_comment(&self, text: StrTendril) -> Handle {
        Rc::new(self.make(Action::Comment, 0, [&text, "", ""]))
    }

    fn create_pi(&self, _: StrTendril, _: StrTendril) -> Handle {
        unreachable!("HTML has no processing instructions")
    }

    fn append_doctype_to_document(&self, name: StrTendril, public: StrTendril, system: StrTendril) {
        self.tell(Action::Doctype, [0; 2], [&name, &public, &system]);
    }

    fn append(&self, parent: &Handle, child: NodeOrText<Handle>) {
        self.put(parent, child, Action::Append, Action::AppendText);
    }

    fn append_before_sibling(&self, sibling: &Handle, child: NodeOrText<Handle>) {
        self.put(sibling, child, Action::Insert, Action::InsertText);
    }

    fn append_based_on_parent_node(
        &self,
        element: &Handle,
        before_it: &Handle,
        child: NodeOrText<Handle>,
    ) {
        match element.has_parent.get() {
            true => self.append_before_sibling(element, child),
            false => self.append(before_it, child),
        }
    }

    fn remove_from_parent(&self, node: &Handle) {
        node.has_parent.set(false);
        self.tell(Action::Remove, [node.number, 0], NONE);
    }

    fn reparent_children(&self, from: &Handle, to: &Handle) {
        self.tell(Action::MoveChildren, [from.number, to.number], NONE);
    }

    fn get_template_contents(&self, template: &Handle) -> Handle {
        template.contents.clone().expect("a template")
    }

    fn same_node(&self, one: &Handle, other: &Handle) -> bool {
        Rc::ptr_eq(one, other)
    }

    fn is_mathml_annotation_xml_integration_point(&self, element: &Handle) -> bool {
        element.is_integration_point
    }
}

export! {
    /// Parses a document.
    ///
    /// @param html UTF-8, borrowed for the call; what is not valid is replaced by U+FFFD.
    /// @param build called on this thread, before the function returns; not NULL.
    /// @param user_data given to `build` as it is; may be NULL.
    /// @return 0, or -1 on an error: of kind `Callback` when `build` ended it.
    fn html5_tree_parse(html: Bytes, build: Build, user_data: *mut c_void) -> i32 {
        let build = build.ok_or_else(|| Error::argument("the callback is NULL"))?;
        let sink = Sink {
            build: |step| build(user_data, step),
            document: Handle::default(),
            made: Cell::new(0),
        };
        let parser = parse_document(sink, Default::default()).from_utf8();
        parser.from_iter(html.as_slice()?.chunks(PIECE));
        Ok(0)
    }
}
