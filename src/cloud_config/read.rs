//! From text to nodes.
//!
//! The YAML library tells the deserialized value what a plain scalar means (`0123` is a number), but not
//! how it was written, whether it had quotes, or where it was. So a document is read twice: once for its
//! shape, and once along that shape with every scalar asked for as text. In the second pass a scalar is
//! taken with an error that is caught at once: the library puts the scalar's place into each error.
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
use super::report::{Place, Report};
use super::scalar;

/// How many nodes a document may come to, its aliases counted as often as they are used.
const NODES_MAX: usize = 100_000;

/// How many bytes its scalars may come to, aliases counted likewise.
const SCALAR_BYTES_MAX: usize = 8 << 20;

/// How long a key may be.
const KEY_BYTES_MAX: usize = 256;

/// How deep brackets may nest. The library's time grows with the depth times the length.
const BRACKETS_MAX: usize = 200;

/// The nodes of the first document of `text`; none, with an error in the report, if it is not YAML or
/// goes beyond a limit.
pub fn read(text: &str, report: &mut Report) -> Option<Node> {
    if let Some(line) = too_deep(text) {
        let message = format!("brackets nest deeper than {BRACKETS_MAX}");
        report.error(Place::line(line), message);
        return None;
    }
    let belied = RefCell::default();
    match read_twice(text, &belied) {
        Ok((node, more)) => {
            let belied = belied.into_inner();
            if !belied.is_empty() {
                for (place, why) in belied {
                    report.error(place, why);
                }
                return None;
            }
            if more {
                let message = "there is more than one YAML document here; only the first counts";
                report.warning(Place::default(), message);
            }
            Some(node)
        }
        Err(error) => {
            let place = error.location().map(|at| Place {
                line: at.line(),
                column: at.column(),
            });
            let said = error.to_string();
            let place = match said.contains("control characters") {
                true => control_character(text).or(place),
                false => place,
            };
            report.error(
                place.unwrap_or_default(),
                format!("this is not YAML: {error}"),
            );
            None
        }
    }
}

/// The first document, and whether there is another one.
fn read_twice(
    text: &str,
    belied: &RefCell<Vec<(Place, String)>>,
) -> Result<(Node, bool), serde_yaml::Error> {
    let untyped = scalar::without_types(text);
    let mut documents = serde_yaml::Deserializer::from_str(&untyped);
    let nothing = Node {
        place: Place::default(),
        value: Value::Null,
    };
    let Some(document) = documents.next() else {
        return Ok((nothing, false));
    };
    let budget = Budget::default();
    let shape = ShapeSeed(&budget).deserialize(document)?;
    let more = documents.next().is_some();
    if matches!(shape, Shape::Nothing) {
        return Ok((nothing, more));
    }
    let Some(again) = serde_yaml::Deserializer::from_str(text).next() else {
        return Ok((nothing, more));
    };
    let lines = Lines::new(text);
    let seed = NodeSeed {
        shape: &shape,
        near: Place::line(1),
        lines: &lines,
        belied,
    };
    Ok((seed.deserialize(again)?, more))
}

/// The place of the first letter that YAML does not let stand for itself; the library does not say where.
fn control_character(text: &str) -> Option<Place> {
    let allowed = |letter: char| match letter {
        '\t' | '\n' | '\r' | '\u{85}' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        letter => !letter.is_control(),
    };
    let at = text.find(|letter| !allowed(letter))?;
    let lines = Lines::new(text.get(..at)?);
    let last = lines.0.last()?;
    Some(Place {
        line: lines.0.len(),
        column: 1 + last.text.chars().count(),
    })
}

/// The line where brackets nest too deep. One that follows a letter is part of a text.
fn too_deep(text: &str) -> Option<usize> {
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

/// What is left of the limits.
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
                "with its aliases it comes to more than {NODES_MAX} parts or {SCALAR_BYTES_MAX} bytes"
            )));
        };
        self.nodes.set(nodes);
        self.bytes.set(bytes);
        Ok(())
    }
}

/// What kinds of nodes a document is made of.
enum Shape {
    Nothing,
    /// With its length in bytes, where it is text.
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
        Ok(Shape::Nothing)
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
            // The library writes all keys above a scalar into each of its errors.
            if matches!(key, Shape::Scalar(bytes) if bytes > KEY_BYTES_MAX) {
                return Err(A::Error::custom(format!(
                    "a key is longer than {KEY_BYTES_MAX} bytes"
                )));
            }
            pairs.push((key, value));
        }
        Ok(Shape::Map(pairs))
    }

    /// A tag of its own, such as `!secret`: what it stands before counts.
    fn visit_enum<A: EnumAccess<'de>>(self, tagged: A) -> Result<Shape, A::Error> {
        let (_, inner) = tagged.variant::<String>()?;
        inner.newtype_variant_seed(self)
    }
}

/// Reads along a shape.
#[derive(Clone, Copy)]
struct NodeSeed<'s> {
    shape: &'s Shape,
    /// Where it is, for what has no place of its own.
    near: Place,
    lines: &'s Lines<'s>,
    /// Tags that their text belies: the library would say another place.
    belied: &'s RefCell<Vec<(Place, String)>>,
}

impl<'de> DeserializeSeed<'de> for NodeSeed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        match self.shape {
            Shape::Nothing => Err(D::Error::custom("a part of it is missing")),
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
        let place = place(&stopped.to_string()).unwrap_or(self.near);
        let style = self.lines.style(place);
        let value = scalar::value(text, style.plain, style.tag).unwrap_or_else(|why| {
            self.belied.borrow_mut().push((place, why));
            Value::Null
        });
        Ok(Node { place, value })
    }
}

impl<'de> Visitor<'de> for NodeSeed<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("what was there a moment ago")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut items = Vec::new();
        if let Shape::List(shapes) = self.shape {
            for shape in shapes {
                let Some(mut item) = list.next_element_seed(NodeSeed { shape, ..self })? else {
                    break;
                };
                // An item has no key, so it is where the first thing in it is.
                match &item.value {
                    Value::Map(pairs) => {
                        item.place = pairs.first().map_or(item.place, |one| one.0.place)
                    }
                    Value::List(items) => {
                        item.place = items.first().map_or(item.place, |one| one.place)
                    }
                    Value::Null | Value::Scalar { .. } => {}
                }
                items.push(item);
            }
        }
        Ok(Node {
            place: self.near,
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
                    near: key.place,
                    ..self
                })?;
                pairs.push((key, value));
            }
        }
        Ok(Node {
            place: self.near,
            value: Value::Map(pairs),
        })
    }
}

/// Nothing is ever of this type.
enum Never {}

/// Takes a scalar's text, and stops the library with an error there.
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

/// The place at the end of an error's text: `at line 3 column 5`. The library leaves out the very first.
fn place(error: &str) -> Option<Place> {
    let Some((_, at)) = error.rsplit_once(" at line ") else {
        return error
            .ends_with("taken")
            .then_some(Place { line: 1, column: 1 });
    };
    let (line, column) = at.split_once(" column ")?;
    Some(Place {
        line: line.parse().ok()?,
        column: column.parse().ok()?,
    })
}

/// The lines of a text, as YAML counts them.
struct Lines<'t>(Vec<Line<'t>>);

struct Line<'t> {
    text: &'t str,
    /// Where each letter begins; empty for a line of ASCII.
    letters: Vec<usize>,
}

impl<'t> Line<'t> {
    fn new(text: &'t str) -> Self {
        let letters = match text.is_ascii() {
            true => Vec::new(),
            false => text.char_indices().map(|(at, _)| at).collect(),
        };
        Self { text, letters }
    }

    /// What is left of it behind so many letters.
    fn behind(&self, skip: usize) -> &'t str {
        let begin = match self.letters.is_empty() {
            true => Some(skip),
            false => self.letters.get(skip).copied(),
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

    /// How the scalar at a place is written.
    fn style(&self, place: Place) -> Style<'t> {
        const BLANK: [char; 2] = [' ', '\t'];
        let mut style = Style {
            plain: true,
            tag: None,
        };
        let mut skip = place.column.saturating_sub(1);
        // Its anchor and tag stand before it, perhaps on a line of their own.
        let mut behind_property = false;
        for line in self
            .0
            .get(place.line.saturating_sub(1)..)
            .unwrap_or_default()
        {
            let mut rest = line.behind(skip);
            if behind_property {
                rest = rest.trim_start_matches(BLANK);
            }
            while rest.starts_with(['&', '!']) {
                behind_property = true;
                let (property, after) = rest.split_at(rest.find(BLANK).unwrap_or(rest.len()));
                if property.starts_with('!') {
                    style.tag = Some(property.trim_end_matches([',', ']', '}']));
                }
                rest = after.trim_start_matches(BLANK);
            }
            if !(rest.is_empty() && behind_property) {
                style.plain = !rest.starts_with(['"', '\'', '|', '>']);
                return style;
            }
            skip = 0;
        }
        style
    }
}

/// How a scalar is written.
struct Style<'t> {
    /// Without quotes, and not as a block.
    plain: bool,
    /// Behind which tag, with its `!`.
    tag: Option<&'t str>,
}
