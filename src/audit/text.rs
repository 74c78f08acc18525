//! JSON, written field by field into one buffer, with texts from outside cut to size.

use std::fmt;
use std::io::Write;

use uuid::Uuid;

/// A JSON object in the making.
///
/// INVARIANT: the result begins with `{`, which the writer of lines relies on. Keys and labels are
/// plain ASCII, so that they need no escapes.
pub(super) struct Object {
    json: Vec<u8>,
    /// Which fields were cut: what they are in, and their keys.
    cut: Vec<(&'static str, &'static str)>,
}

impl Object {
    /// An empty one, with memory for `bytes`; it may grow longer.
    pub(super) fn new(bytes: usize) -> Self {
        let mut json = Vec::with_capacity(bytes);
        json.push(b'{');
        Self {
            json,
            cut: Vec::new(),
        }
    }

    /// The whole object, with the names of the fields that were cut, if any were.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let cut = std::mem::take(&mut self.cut);
        if !cut.is_empty() {
            self.list("truncated", cut, |json, (section, key)| {
                json.extend_from_slice(section.as_bytes());
                if !section.is_empty() {
                    json.push(b'.');
                }
                json.extend_from_slice(key.as_bytes());
            });
        }
        self.json.push(b'}');
        self.json
    }

    /// An object in this one; `null` if there is nothing to put into it.
    pub(super) fn object<T>(
        &mut self,
        key: &'static str,
        value: Option<T>,
        fields: impl FnOnce(&mut Self, T),
    ) {
        self.key(key);
        let Some(value) = value else {
            return self.null();
        };
        self.json.push(b'{');
        fields(self, value);
        self.json.push(b'}');
    }

    /// A text of ours.
    pub(super) fn label(&mut self, key: &'static str, label: impl Into<Option<&'static str>>) {
        self.key(key);
        match label.into() {
            Some(label) => self.quoted(|json| json.extend_from_slice(label.as_bytes())),
            None => self.null(),
        }
    }

    /// Several texts of ours.
    pub(super) fn labels(
        &mut self,
        key: &'static str,
        labels: impl IntoIterator<Item = &'static str>,
    ) {
        self.list(key, labels, |json, label| {
            json.extend_from_slice(label.as_bytes());
        });
    }

    /// A text that was checked to be short; whatever is in it is escaped.
    pub(super) fn text(&mut self, key: &'static str, text: Option<&str>) {
        self.cut(("", key), text, usize::MAX);
    }

    /// The longest beginning of `text` that takes at most `limit` bytes as JSON. `field` says what
    /// it is in, and its key.
    ///
    /// Control characters JSON leaves alone (DEL, the C1 set with its terminal escapes) become
    /// U+FFFD, so that a record can be shown in a terminal.
    pub(super) fn cut(
        &mut self,
        field: (&'static str, &'static str),
        text: Option<&str>,
        limit: usize,
    ) {
        self.key(field.1);
        let Some(text) = text else {
            return self.null();
        };
        self.json.push(b'"');
        if text.len() <= limit && is_plain(text) {
            self.json.extend_from_slice(text.as_bytes());
        } else if !push_escaped(&mut self.json, text, limit) {
            self.cut.push(field);
        }
        self.json.push(b'"');
    }

    /// A value whose text is plain ASCII.
    pub(super) fn shown(&mut self, key: &'static str, value: impl fmt::Display) {
        self.key(key);
        self.quoted(|json| {
            // Writing to a `Vec` cannot fail.
            let _ = write!(json, "{value}");
        });
    }

    /// A UUID in its hyphenated form.
    pub(super) fn uuid(&mut self, key: &'static str, uuid: Option<Uuid>) {
        self.key(key);
        let Some(uuid) = uuid else {
            return self.null();
        };
        let mut buffer = Uuid::encode_buffer();
        let text = uuid.as_hyphenated().encode_lower(&mut buffer);
        self.quoted(|json| json.extend_from_slice(text.as_bytes()));
    }

    /// Bytes in lower-case hexadecimal, after a prefix.
    pub(super) fn hex(&mut self, key: &'static str, prefix: &'static str, bytes: &[u8]) {
        self.key(key);
        self.quoted(|json| {
            json.extend_from_slice(prefix.as_bytes());
            for byte in bytes {
                json.extend([hex_digit(byte >> 4), hex_digit(byte & 15)]);
            }
        });
    }

    pub(super) fn number(&mut self, key: &'static str, number: impl Into<Option<u64>>) {
        self.key(key);
        match number.into() {
            Some(number) => {
                let _ = write!(self.json, "{number}");
            }
            None => self.null(),
        }
    }

    pub(super) fn boolean(&mut self, key: &'static str, value: bool) {
        self.key(key);
        let text: &[u8] = if value { b"true" } else { b"false" };
        self.json.extend_from_slice(text);
    }

    fn list<T>(
        &mut self,
        key: &'static str,
        items: impl IntoIterator<Item = T>,
        show: impl Fn(&mut Vec<u8>, T),
    ) {
        self.key(key);
        self.json.push(b'[');
        for item in items {
            if self.json.last() != Some(&b'[') {
                self.json.push(b',');
            }
            self.quoted(|json| show(json, item));
        }
        self.json.push(b']');
    }

    fn key(&mut self, key: &'static str) {
        if self.json.last() != Some(&b'{') {
            self.json.push(b',');
        }
        self.json.push(b'"');
        self.json.extend_from_slice(key.as_bytes());
        self.json.extend_from_slice(b"\":");
    }

    fn quoted(&mut self, show: impl FnOnce(&mut Vec<u8>)) {
        self.json.push(b'"');
        show(&mut self.json);
        self.json.push(b'"');
    }

    fn null(&mut self) {
        self.json.extend_from_slice(b"null");
    }
}

/// Whether `text` is its own form in JSON.
fn is_plain(text: &str) -> bool {
    // Without a way out in the middle, many bytes are looked at together.
    text.bytes().fold(true, |is_plain, b| {
        is_plain & matches!(b, b' '..=b'~') & (b != b'"') & (b != b'\\')
    })
}

/// Writes as much of `text` as fits into `limit`; `false` if that is not all.
fn push_escaped(json: &mut Vec<u8>, text: &str, limit: usize) -> bool {
    let mut room = limit;
    for c in text.chars() {
        let c = if is_raw_control(c) { '\u{fffd}' } else { c };
        let Some(left) = room.checked_sub(json_len(c)) else {
            return false;
        };
        room = left;
        match c {
            '"' => json.extend_from_slice(br#"\""#),
            '\\' => json.extend_from_slice(br"\\"),
            '\n' => json.extend_from_slice(br"\n"),
            '\r' => json.extend_from_slice(br"\r"),
            '\t' => json.extend_from_slice(br"\t"),
            '\u{8}' => json.extend_from_slice(br"\b"),
            '\u{c}' => json.extend_from_slice(br"\f"),
            '\0'..='\u{1f}' => {
                let _ = write!(json, "\\u{:04x}", u32::from(c));
            }
            c => json.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    true
}

fn is_raw_control(c: char) -> bool {
    c.is_control() && c >= '\u{7f}'
}

/// How many bytes `c` takes in a JSON text.
fn json_len(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        c => c.len_utf8(),
    }
}

fn hex_digit(nibble: u8) -> u8 {
    match nibble {
        0..=9 => b'0' + nibble,
        _ => b'a' + nibble - 10,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// `text` as the only field, and whether it was cut.
    fn shown(text: &str, limit: usize) -> (String, bool) {
        let mut object = Object::new(64);
        object.cut(("client", "ua"), Some(text), limit);
        let object: Value = serde_json::from_slice(&object.finish()).unwrap();
        let is_cut = object.get("truncated").is_some();
        if is_cut {
            assert_eq!(object["truncated"], json!(["client.ua"]));
        }
        (object["ua"].as_str().unwrap().to_owned(), is_cut)
    }

    #[test]
    fn texts_are_cut_between_characters_and_named() {
        for (text, limit, expected, is_cut) in [
            ("abc", 3, "abc", false),
            ("abcd", 3, "abc", true),
            ("aäb", 2, "a", true),
            ("a\"b", 3, "a\"", true),
            ("\u{1}\u{1}", 11, "\u{1}", true),
            ("a\u{9b}2J\u{7f}", 20, "a\u{fffd}2J\u{fffd}", false),
            ("", 0, "", false),
        ] {
            assert_eq!(
                shown(text, limit),
                (expected.to_owned(), is_cut),
                "{text:?}"
            );
        }
    }

    #[test]
    fn every_kind_of_field_is_json() {
        let mut object = Object::new(64);
        object.label("label", "a");
        object.label("no_label", None);
        object.labels("labels", ["a", "b"]);
        object.labels("no_labels", []);
        object.text("text", None);
        object.shown("shown", 1.5);
        object.uuid("uuid", Some(Uuid::max()));
        object.uuid("no_uuid", None);
        object.hex("hex", "sha:", &[0x09, 0xaf]);
        object.number("number", u64::MAX);
        object.number("no_number", None);
        object.boolean("boolean", true);
        object.object("object", Some(1), |object, one| object.number("one", one));
        object.object("empty", Some(()), |_, ()| {});
        object.object("no_object", None::<()>, |_, ()| {});
        let object: Value = serde_json::from_slice(&object.finish()).unwrap();
        let expected = json!({
            "label": "a", "no_label": null, "labels": ["a", "b"], "no_labels": [], "text": null,
            "shown": "1.5", "uuid": "ffffffff-ffff-ffff-ffff-ffffffffffff", "no_uuid": null,
            "hex": "sha:09af", "number": u64::MAX, "no_number": null, "boolean": true,
            "object": {"one": 1}, "empty": {}, "no_object": null,
        });
        assert_eq!(object, expected);
    }

    proptest! {
        #[test]
        fn any_text_is_one_line_and_comes_back(text in "\\PC*|(?s:.*)", limit in 0_usize..80) {
            let harmless: String = text
                .chars()
                .map(|c| if is_raw_control(c) { '\u{fffd}' } else { c })
                .collect();
            prop_assert_eq!(shown(&text, usize::MAX), (harmless.clone(), false));
            let (kept, is_cut) = shown(&text, limit);
            prop_assert!(harmless.starts_with(&kept));
            prop_assert_eq!(is_cut, kept != harmless);
            let mut json = Vec::new();
            push_escaped(&mut json, &text, limit);
            prop_assert!(json.len() <= limit);
            prop_assert!(json.iter().all(|b| *b >= b' '));
        }

        #[test]
        fn the_short_way_and_the_long_way_agree(text in "[ -~]{0,40}|.{0,40}") {
            let mut json = Vec::new();
            prop_assert!(push_escaped(&mut json, &text, usize::MAX));
            prop_assert_eq!(is_plain(&text), json == text.as_bytes() && text.is_ascii());
        }
    }
}
