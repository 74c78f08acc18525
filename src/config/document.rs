//! A TOML text as a JSON value that remembers where each part was written.
//!
//! Parts are addressed by JSON pointers (`/vault/0/authority`), as the schema validator does.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Place, Problem};

/// The settings as written, with the place of each.
#[derive(Debug)]
pub(super) struct Document {
    value: Value,
    origins: BTreeMap<String, Origin>,
}

#[derive(Debug)]
struct Origin {
    place: Place,
    /// TOML's name for what was found, such as `string`.
    found: &'static str,
}

impl Document {
    /// Reads a TOML text.
    ///
    /// # Errors
    /// All violations of TOML's grammar, with line and column.
    pub(super) fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let lines = Lines::new(text);
        let (root, errors) = DeTable::parse_recoverable(text);
        if !errors.is_empty() {
            return Err(errors.iter().map(|error| lines.problem(error)).collect());
        }
        let mut reader = Reader {
            lines,
            origins: BTreeMap::new(),
        };
        let value = reader.table(root.get_ref(), "");
        Ok(Self {
            value,
            origins: reader.origins,
        })
    }

    /// The value as a whole.
    pub(super) const fn value(&self) -> &Value {
        &self.value
    }

    /// Where `pointer` was written, or else the nearest table around it.
    pub(super) fn place(&self, pointer: &str) -> Place {
        let mut pointer = pointer;
        loop {
            if let Some(origin) = self.origins.get(pointer) {
                return origin.place.clone();
            }
            match pointer.rsplit_once('/') {
                Some((parent, _)) => pointer = parent,
                None => return Place::File,
            }
        }
    }

    /// TOML's name for what was found at `pointer`.
    pub(super) fn found(&self, pointer: &str) -> &'static str {
        self.origins
            .get(pointer)
            .map_or("nothing", |origin| origin.found)
    }

    /// Whether something was written at `pointer`, right or wrong.
    pub(super) fn is_written(&self, pointer: &str) -> bool {
        self.origins.contains_key(pointer)
    }

    /// Whether something was written at `pointer` and removed because it is wrong.
    pub(super) fn is_refused(&self, pointer: &str) -> bool {
        self.is_written(pointer) && self.value.pointer(pointer).is_none()
    }

    /// `pointer` as a reader would write it: `vault.kv-payments.authority`, `vault[0].name`.
    pub(super) fn key(&self, pointer: &str) -> String {
        let mut key = String::new();
        let mut at = Some(&self.value);
        for segment in pointer.split('/').skip(1).map(unescape) {
            if let Some(Value::Array(elements)) = at {
                at = segment.parse().ok().and_then(|i: usize| elements.get(i));
                match at.and_then(name_of) {
                    Some(name) => key.extend([".", name]),
                    None => key.extend(["[", &segment, "]"]),
                }
            } else {
                at = at.and_then(|value| value.get(&segment));
                if !key.is_empty() {
                    key.push('.');
                }
                let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
                if segment.chars().all(bare) {
                    key.push_str(&segment);
                } else {
                    key.push_str(&format!("{segment:?}"));
                }
            }
        }
        key
    }

    /// A problem with what is, or should be, at `pointer`.
    pub(super) fn problem(
        &self,
        pointer: &str,
        what: impl Into<String>,
        hint: impl Into<String>,
    ) -> Problem {
        Problem {
            place: self.place(pointer),
            key: self.key(pointer),
            what: what.into(),
            hint: hint.into(),
        }
    }

    /// Puts what `variable` says at `pointer`, making the tables on the way.
    ///
    /// Does nothing if something else than a table is in the way, which the schema then reports.
    pub(super) fn set(&mut self, pointer: &str, value: Value, found: &'static str, variable: &str) {
        let mut at = &mut self.value;
        for segment in pointer.split('/').skip(1).map(unescape) {
            let next = match at {
                Value::Object(table) => Some(table.entry(segment).or_insert_with(empty_table)),
                Value::Array(elements) => segment
                    .parse()
                    .ok()
                    .and_then(|i: usize| elements.get_mut(i)),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
            };
            match next {
                Some(next) => at = next,
                None => return,
            }
        }
        *at = value;
        let below = format!("{pointer}/");
        self.origins
            .retain(|pointer, _| !pointer.starts_with(&below));
        let place = Place::Variable(variable.to_owned());
        self.origins
            .insert(pointer.to_owned(), Origin { place, found });
    }

    /// Removes what is at `pointer`; for an element, the whole list, whose other elements would
    /// otherwise change places.
    pub(super) fn remove(&mut self, pointer: &str) {
        let Some((parent, last)) = pointer.rsplit_once('/') else {
            return;
        };
        match self.value.pointer_mut(parent) {
            Some(Value::Object(table)) => {
                table.remove(&unescape(last));
            }
            Some(Value::Array(_)) => self.remove(parent),
            _ => {}
        }
    }
}

/// A value as JSON, and TOML's name for its type.
pub(super) fn read_value(text: &str) -> Option<(Value, &'static str)> {
    let value = DeValue::parse(text).ok()?;
    let mut reader = Reader {
        lines: Lines::new(text),
        origins: BTreeMap::new(),
    };
    let json = reader.value(&value, "");
    Some((json, value.get_ref().type_str()))
}

/// The name of a named element, which stands for it in keys.
pub(super) fn name_of(element: &Value) -> Option<&str> {
    let name = element.get("name")?.as_str()?;
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '-';
    (!name.is_empty() && name.chars().all(legal)).then_some(name)
}

/// A key as a segment of a JSON pointer.
pub(super) fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// [`escape`] undone.
pub(super) fn unescape(segment: &str) -> String {
    segment.replace("~1", "/").replace("~0", "~")
}

fn empty_table() -> Value {
    Value::Object(Map::new())
}

/// Turns TOML into JSON and notes the places.
struct Reader<'text> {
    lines: Lines<'text>,
    origins: BTreeMap<String, Origin>,
}

impl Reader<'_> {
    fn table(&mut self, table: &DeTable<'_>, pointer: &str) -> Value {
        let members = table.iter().map(|(key, value)| {
            let pointer = format!("{pointer}/{}", escape(key.get_ref()));
            self.note(&pointer, key.span().start, value);
            let member = self.value(value, &pointer);
            (key.get_ref().to_string(), member)
        });
        Value::Object(members.collect())
    }

    fn value(&mut self, value: &Spanned<DeValue<'_>>, pointer: &str) -> Value {
        match value.get_ref() {
            DeValue::String(text) => Value::from(text.as_ref()),
            DeValue::Boolean(truth) => Value::from(*truth),
            DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix())
                .map_or(Value::Null, Value::from),
            // No setting is of these types, and JSON would take `5.0` for an integer.
            DeValue::Float(_) | DeValue::Datetime(_) => Value::Null,
            DeValue::Array(elements) => {
                let elements = elements.iter().enumerate().map(|(index, element)| {
                    let pointer = format!("{pointer}/{index}");
                    self.note(&pointer, element.span().start, element);
                    self.value(element, &pointer)
                });
                Value::Array(elements.collect())
            }
            DeValue::Table(table) => self.table(table, pointer),
        }
    }

    fn note(&mut self, pointer: &str, offset: usize, value: &Spanned<DeValue<'_>>) {
        let origin = Origin {
            place: Place::Line(self.lines.position(offset).0),
            found: value.get_ref().type_str(),
        };
        self.origins.insert(pointer.to_owned(), origin);
    }
}

/// Byte offsets as lines and columns.
struct Lines<'text> {
    text: &'text str,
    starts: Vec<usize>,
}

impl<'text> Lines<'text> {
    fn new(text: &'text str) -> Self {
        let ends = text.match_indices('\n').map(|(end, _)| end + 1);
        Self {
            text,
            starts: std::iter::once(0).chain(ends).collect(),
        }
    }

    /// The line and the column of a byte, from 1; columns count characters.
    fn position(&self, offset: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = line
            .checked_sub(1)
            .and_then(|i| self.starts.get(i).copied());
        let before = self.text.get(start.unwrap_or(0)..offset);
        (line, before.map_or(0, |text| text.chars().count()) + 1)
    }

    /// A violation of the grammar, without the source line that the error would print.
    fn problem(&self, error: &toml::de::Error) -> Problem {
        let place = error.span().map_or(Place::File, |span| {
            let (line, column) = self.position(span.start);
            Place::Column(line, column)
        });
        Problem {
            place,
            key: String::new(),
            what: format!("not TOML: {}", error.message()),
            hint: String::new(),
        }
    }
}
