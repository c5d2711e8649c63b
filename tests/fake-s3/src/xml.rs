//! XML: written by hand, read with roxmltree.

use crate::refusal::Refusal;

const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// A document under construction. Every `open` wants its `close`.
#[derive(Debug)]
pub(crate) struct Xml(String);

impl Xml {
    pub(crate) fn new(root: &str) -> Self {
        Self(format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} xmlns=\"{NAMESPACE}\">"))
    }

    /// An error's document has no namespace.
    pub(crate) fn error() -> Self {
        Self("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error>".to_owned())
    }

    pub(crate) fn open(&mut self, name: &str) -> &mut Self {
        self.0.push_str(&format!("<{name}>"));
        self
    }

    pub(crate) fn close(&mut self, name: &str) -> &mut Self {
        self.0.push_str(&format!("</{name}>"));
        self
    }

    pub(crate) fn text(&mut self, name: &str, value: impl ToString) -> &mut Self {
        self.open(name).plain(&value.to_string()).close(name)
    }

    pub(crate) fn plain(&mut self, value: &str) -> &mut Self {
        self.0.push_str(&escaped(value));
        self
    }

    pub(crate) fn end(mut self, root: &str) -> String {
        self.close(root);
        self.0
    }
}

fn escaped(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => result.push_str("&amp;"),
            '<' => result.push_str("&lt;"),
            '>' => result.push_str("&gt;"),
            '"' => result.push_str("&quot;"),
            control if control < ' ' => result.push_str(&format!("&#x{:x};", u32::from(control))),
            plain => result.push(plain),
        }
    }
    result
}

/// Reads a request's document and hands its root to `act`.
pub(crate) fn read<T>(
    bytes: &[u8],
    act: impl FnOnce(roxmltree::Node<'_, '_>) -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    let text = std::str::from_utf8(bytes).map_err(|_| Refusal::malformed_xml())?;
    let document = roxmltree::Document::parse(text).map_err(|_| Refusal::malformed_xml())?;
    act(document.root_element())
}

/// The text of the child with this name.
pub(crate) fn child(node: roxmltree::Node<'_, '_>, name: &str) -> Option<String> {
    let found = children(node, name).next()?;
    Some(found.text().unwrap_or_default().trim().to_owned())
}

/// All children with this name.
pub(crate) fn children<'a, 'i: 'a>(
    node: roxmltree::Node<'a, 'i>,
    name: &'a str,
) -> impl Iterator<Item = roxmltree::Node<'a, 'i>> {
    node.children().filter(move |child| child.is_element() && child.tag_name().name() == name)
}
