//! Reads the text of a document into nodes.
//!
//! serde passes on what a plain scalar stands for (`0123` is a number), but not how it is written, whether it
//! has quotes, or its position. So a document is read twice: once for its shape, and once along that shape
//! with every scalar requested as text. In the second pass each scalar is taken with an error that is caught
//! at once, because the library adds the position to each error.
//!
//! An event parser with spans would need one pass, and was tried on all recorded documents and 60,000
//! mutations of them: `saphyr-parser` 0.3.4 is a YAML 1.2 parser and rejects documents that coreos-cloudinit
//! accepted (`key:<TAB>value`, a flow list or quoted text continued at the first column) and adds a line
//! break to a block scalar that ends the document without one, and `libyaml-safer` 0.3.0 panics on
//! `{a: !b, c: d}`.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error as _, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};

use super::node::{Node, Value};
use super::report::{Position, Report};
use super::tag::{self, TagError};

/// Maximum number of nodes of a document with its aliases expanded.
const NODES_MAX: usize = 100_000;

/// Maximum size of all scalars of a document with its aliases expanded, in bytes.
const SCALAR_BYTES_MAX: usize = 8 << 20;

/// Maximum length of a key, in bytes.
const KEY_BYTES_MAX: usize = 256;

/// Maximum depth of nested brackets: the time the library needs grows with the depth times the length.
const BRACKETS_MAX: usize = 200;

/// The nodes of the first document of `text`; `None`, with an error in the report, if it is not valid YAML or
/// exceeds a limit.
pub fn read(text: &str, report: &mut Report) -> Option<Node> {
    if let Some(line) = find_deep_nesting(text) {
        let message = format!("brackets are nested deeper than {BRACKETS_MAX} levels");
        report.error(Position::line(line), message);
        return None;
    }
    let tag_errors = RefCell::default();
    match read_twice(text, &tag_errors) {
        Ok((node, more)) => {
            let tag_errors = tag_errors.into_inner();
            if !tag_errors.is_empty() {
                for (position, error) in tag_errors {
                    report.error(position, error.to_string());
                }
                return None;
            }
            if more {
                let message = "more than one YAML document; only the first is used";
                report.warning(Position::default(), message);
            }
            Some(node)
        }
        Err(error) => {
            let position = error.location().map(|at| Position {
                line: at.line(),
                column: at.column(),
            });
            let cause = error.to_string();
            let position = match cause.contains("control characters") {
                true => find_control_character(text).or(position),
                false => position,
            };
            report.error(
                position.unwrap_or_default(),
                format!("not valid YAML: {cause}"),
            );
            None
        }
    }
}

/// The tags that their scalars do not match, collected while the library reads: it would report them at
/// another position.
type TagErrors = RefCell<Vec<(Position, TagError)>>;

/// The first document, and whether another one follows.
fn read_twice(text: &str, tag_errors: &TagErrors) -> Result<(Node, bool), serde_yaml::Error> {
    let masked = tag::mask_core_tags(text);
    let mut documents = serde_yaml::Deserializer::from_str(&masked);
    let null = Node {
        position: Position::default(),
        value: Value::Null,
    };
    let Some(document) = documents.next() else {
        return Ok((null, false));
    };
    let budget = Budget::default();
    let shape = ShapeSeed(&budget).deserialize(document)?;
    let more = documents.next().is_some();
    if matches!(shape, Shape::Empty) {
        return Ok((null, more));
    }
    let Some(again) = serde_yaml::Deserializer::from_str(text).next() else {
        return Ok((null, more));
    };
    let lines = Lines::new(text);
    let seed = NodeSeed {
        shape: &shape,
        near: Position::line(1),
        lines: &lines,
        tag_errors,
    };
    Ok((seed.deserialize(again)?, more))
}

/// The position of the first character that YAML allows only as an escape; the library reports none.
fn find_control_character(text: &str) -> Option<Position> {
    let is_allowed = |c: char| match c {
        '\t' | '\n' | '\r' | '\u{85}' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        c => !c.is_control(),
    };
    let at = text.find(|c| !is_allowed(c))?;
    let lines = Lines::new(text.get(..at)?);
    let last = lines.0.last()?;
    Some(Position {
        line: lines.0.len(),
        column: 1 + last.text.chars().count(),
    })
}

/// The line where brackets exceed the maximum depth. A bracket that follows another character is part of a
/// scalar.
fn find_deep_nesting(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut before = b' ';
    for (at, byte) in text.bytes().enumerate() {
        let opens = matches!(
            before,
            b' ' | b'\n' | b'\r' | b'\t' | b'[' | b'{' | b',' | b':' | b'?' | b'-'
        );
        match byte {
            b'[' | b'{' if opens => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > BRACKETS_MAX {
            let above = text.as_bytes().get(..at).unwrap_or_default();
            return Some(1 + above.iter().filter(|byte| **byte == b'\n').count());
        }
        before = byte;
    }
    None
}

/// The number of nodes and bytes that the rest of the document may have.
struct Budget {
    nodes: Cell<usize>,
    bytes: Cell<usize>,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            nodes: Cell::new(NODES_MAX),
            bytes: Cell::new(SCALAR_BYTES_MAX),
        }
    }
}

impl Budget {
    fn take<E: serde::de::Error>(&self, bytes: usize) -> Result<(), E> {
        let nodes = self.nodes.get().checked_sub(1);
        let Some((nodes, bytes)) = nodes.zip(self.bytes.get().checked_sub(bytes)) else {
            return Err(E::custom(format!(
                "with aliases expanded, the document exceeds {NODES_MAX} nodes or {SCALAR_BYTES_MAX} bytes"
            )));
        };
        self.nodes.set(nodes);
        self.bytes.set(bytes);
        Ok(())
    }
}

/// The kinds of the nodes of a document.
enum Shape {
    /// A stream without a document.
    Empty,
    /// A scalar, with its length in bytes if it is text.
    Scalar(usize),
    List(Vec<Shape>),
    Map(Vec<(Shape, Shape)>),
}

#[derive(Clone, Copy)]
struct ShapeSeed<'b>(&'b Budget);

impl ShapeSeed<'_> {
    fn scalar<E: serde::de::Error>(self, bytes: usize) -> Result<Shape, E> {
        self.0.take(bytes)?;
        Ok(Shape::Scalar(bytes))
    }
}

impl<'de> DeserializeSeed<'de> for ShapeSeed<'_> {
    type Value = Shape;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Shape, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ShapeSeed<'_> {
    type Value = Shape;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML")
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<Shape, E> {
        Ok(Shape::Empty)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Shape, E> {
        self.scalar(0)
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<Shape, E> {
        self.scalar(0)
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<Shape, E> {
        self.scalar(0)
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<Shape, E> {
        self.scalar(0)
    }

    fn visit_i128<E: serde::de::Error>(self, _: i128) -> Result<Shape, E> {
        self.scalar(0)
    }

    fn visit_u128<E: serde::de::Error>(self, _: u128) -> Result<Shape, E> {
        self.scalar(0)
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<Shape, E> {
        self.scalar(0)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Shape, E> {
        self.scalar(text.len())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Shape, A::Error> {
        self.0.take(0)?;
        let mut items = Vec::new();
        while let Some(item) = list.next_element_seed(self)? {
            items.push(item);
        }
        Ok(Shape::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
        self.0.take(0)?;
        let mut pairs = Vec::new();
        while let Some((key, value)) = map.next_entry_seed(self, self)? {
            // The library copies all keys above a scalar into each of its errors.
            if matches!(key, Shape::Scalar(bytes) if bytes > KEY_BYTES_MAX) {
                return Err(A::Error::custom(format!(
                    "key longer than {KEY_BYTES_MAX} bytes"
                )));
            }
            pairs.push((key, value));
        }
        Ok(Shape::Map(pairs))
    }

    /// An application tag, such as `!secret`: it is ignored.
    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<Shape, A::Error> {
        let (_, inner) = tagged.variant::<String>()?;
        inner.newtype_variant_seed(self)
    }
}

/// Reads a node along its shape.
#[derive(Clone, Copy)]
struct NodeSeed<'s> {
    shape: &'s Shape,
    /// The position of the key, used for lists and mappings.
    near: Position,
    lines: &'s Lines<'s>,
    tag_errors: &'s TagErrors,
}

impl<'de> DeserializeSeed<'de> for NodeSeed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        match self.shape {
            Shape::Empty => Err(D::Error::custom("a node is missing")),
            Shape::Scalar(_) => self.scalar(deserializer),
            Shape::List(_) => deserializer.deserialize_seq(self),
            Shape::Map(_) => deserializer.deserialize_map(self),
        }
    }
}

impl NodeSeed<'_> {
    fn scalar<'de, D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        let mut taken = None;
        let stopped = match deserializer.deserialize_str(Taker(&mut taken)) {
            Ok(never) => match never {},
            Err(error) => error,
        };
        let Some(text) = taken else {
            return Err(stopped);
        };
        let position = parse_position(&stopped.to_string()).unwrap_or(self.near);
        let style = self.lines.style(position);
        let value = tag::resolve(text, style.plain, style.tag).unwrap_or_else(|error| {
            self.tag_errors.borrow_mut().push((position, error));
            Value::Null
        });
        Ok(Node { position, value })
    }
}

impl<'de> Visitor<'de> for NodeSeed<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a node of the same shape as in the first pass")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        if let Shape::List(shapes) = self.shape {
            for shape in shapes {
                let Some(mut item) = list.next_element_seed(NodeSeed { shape, ..self })? else {
                    break;
                };
                // An item has no key: its position is that of its first entry or item.
                match &item.value {
                    Value::Map(pairs) => {
                        item.position = pairs.first().map_or(item.position, |one| one.0.position)
                    }
                    Value::List(items) => {
                        item.position = items.first().map_or(item.position, |one| one.position)
                    }
                    Value::Null | Value::Scalar { .. } => {}
                }
                items.push(item);
            }
        }
        Ok(Node {
            position: self.near,
            value: Value::List(items),
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut pairs: Vec<(Node, Node)> = Vec::new();
        if let Shape::Map(shapes) = self.shape {
            for (key, value) in shapes {
                let Some(key) = map.next_key_seed(NodeSeed { shape: key, ..self })? else {
                    break;
                };
                let value = map.next_value_seed(NodeSeed {
                    shape: value,
                    near: key.position,
                    ..self
                })?;
                pairs.push((key, value));
            }
        }
        Ok(Node {
            position: self.near,
            value: Value::Map(pairs),
        })
    }
}

/// A type without values: [`Taker`] never succeeds.
enum Never {}

/// Stores the text of a scalar and returns an error, to which the library adds the position.
struct Taker<'t>(&'t mut Option<String>);

impl Visitor<'_> for Taker<'_> {
    type Value = Never;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Never, E> {
        *self.0 = Some(String::from(text));
        Err(E::custom("taken"))
    }
}

/// The position at the end of an error message: `at line 3 column 5`. The library omits line 1 column 1.
fn parse_position(error: &str) -> Option<Position> {
    let Some((_, at)) = error.rsplit_once(" at line ") else {
        return error
            .ends_with("taken")
            .then_some(Position { line: 1, column: 1 });
    };
    let (line, column) = at.split_once(" column ")?;
    Some(Position {
        line: line.parse().ok()?,
        column: column.parse().ok()?,
    })
}

/// The lines of a text, by YAML's line breaks.
struct Lines<'t>(Vec<Line<'t>>);

struct Line<'t> {
    text: &'t str,
    /// The byte offset of each character; empty for a line of ASCII.
    offsets: Vec<usize>,
}

impl<'t> Line<'t> {
    fn new(text: &'t str) -> Self {
        let offsets = match text.is_ascii() {
            true => Vec::new(),
            false => text.char_indices().map(|(at, _)| at).collect(),
        };
        Self { text, offsets }
    }

    /// The rest of the line after a number of characters.
    fn skip_chars(&self, skip: usize) -> &'t str {
        let begin = match self.offsets.is_empty() {
            true => Some(skip),
            false => self.offsets.get(skip).copied(),
        };
        begin.and_then(|at| self.text.get(at..)).unwrap_or_default()
    }
}

impl<'t> Lines<'t> {
    fn new(text: &'t str) -> Self {
        let mut lines = Vec::new();
        let mut rest = text;
        while let Some(end) = rest.find(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']) {
            let (line, after) = rest.split_at(end);
            lines.push(Line::new(line));
            let one = after.chars().next().map_or(0, char::len_utf8);
            rest = after.strip_prefix("\r\n").unwrap_or(&after[one..]);
        }
        lines.push(Line::new(rest));
        Self(lines)
    }

    /// The style of the scalar at a position.
    fn style(&self, position: Position) -> Style<'t> {
        const BLANK: [char; 2] = [' ', '\t'];
        let mut style = Style {
            plain: true,
            tag: None,
        };
        let mut skip = position.column.saturating_sub(1);
        // Its anchor and tag precede it, possibly on separate lines.
        let mut after_property = false;
        for line in self
            .0
            .get(position.line.saturating_sub(1)..)
            .unwrap_or_default()
        {
            let mut rest = line.skip_chars(skip);
            if after_property {
                rest = rest.trim_start_matches(BLANK);
            }
            while rest.starts_with(['&', '!']) {
                after_property = true;
                let (property, after) = rest.split_at(rest.find(BLANK).unwrap_or(rest.len()));
                if property.starts_with('!') {
                    style.tag = Some(property.trim_end_matches([',', ']', '}']));
                }
                rest = after.trim_start_matches(BLANK);
            }
            if !(rest.is_empty() && after_property) {
                style.plain = !rest.starts_with(['"', '\'', '|', '>']);
                return style;
            }
            skip = 0;
        }
        style
    }
}

/// The style of a scalar.
struct Style<'t> {
    /// Whether it is neither quoted nor a block scalar.
    plain: bool,
    /// Its tag, with the leading `!`.
    tag: Option<&'t str>,
}
