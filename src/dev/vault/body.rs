//! Request bodies: JSON, strict about types.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::failure::Failure;
use super::shelf::{Attributes, Tags};

/// Azure: tags on one object.
const MAX_TAGS: usize = 15;
/// Azure: characters of a tag's name and of its value.
const MAX_TAG_CHARS: usize = 256;

/// Reads a body.
///
/// SECURITY: the text of a serde error quotes the value it did not like, which may be a secret;
/// only its place is told.
pub(super) fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|error| {
        Failure::bad_parameter(format!(
            "The request body has a property that is missing, invalid or of the wrong type, at \
             line {} column {}.",
            error.line(),
            error.column()
        ))
    })
}

/// `attributes` as a request gives them.
#[derive(Debug, Default, Deserialize)]
pub(super) struct AttributesBody {
    enabled: Option<bool>,
    nbf: Option<i64>,
    exp: Option<i64>,
    exportable: Option<bool>,
}

impl AttributesBody {
    /// The attributes of a new version made at `now`.
    pub(super) fn new_version(self, now: i64) -> Result<Attributes, Failure> {
        let mut attributes = Attributes {
            enabled: true,
            not_before: None,
            expires: None,
            created: now,
            updated: now,
            exportable: None,
        };
        self.apply(&mut attributes, now)?;
        Ok(attributes)
    }

    /// Whether the object is to be enabled.
    pub(super) const fn enabled(&self) -> Option<bool> {
        self.enabled
    }

    /// The same without the dates.
    pub(super) fn without_dates(self) -> Self {
        Self {
            nbf: None,
            exp: None,
            ..self
        }
    }

    /// Whether a key is to be exportable.
    pub(super) const fn exportable(&self) -> Option<bool> {
        self.exportable
    }

    /// Changes what is given and leaves the rest.
    pub(super) fn apply(self, attributes: &mut Attributes, now: i64) -> Result<(), Failure> {
        if matches!((self.exportable, attributes.exportable), (Some(to), Some(is)) if to != is) {
            return Err(Failure::bad_parameter(
                "AKV.SKR.1014: Cannot modify the exportable state of a key.",
            ));
        }
        let not_before = self.nbf.or(attributes.not_before);
        let expires = self.exp.or(attributes.expires);
        if [not_before, expires].iter().flatten().any(|time| *time < 0) {
            return Err(Failure::bad_parameter("A date must not be before 1970."));
        }
        if matches!((not_before, expires), (Some(from), Some(to)) if from > to) {
            return Err(Failure::bad_parameter(
                "The 'nbf' date must not be after the 'exp' date.",
            ));
        }
        attributes.enabled = self.enabled.unwrap_or(attributes.enabled);
        attributes.not_before = not_before;
        attributes.expires = expires;
        // A version may have been made a little ahead of the clock.
        attributes.updated = now.max(attributes.created);
        Ok(())
    }
}

/// Checks the number and length of tags.
pub(super) fn check_tags(tags: Option<&Tags>) -> Result<(), Failure> {
    let Some(tags) = tags else {
        return Ok(());
    };
    let too_long = |text: &String| text.chars().count() > MAX_TAG_CHARS;
    if tags.len() > MAX_TAGS
        || tags
            .iter()
            .any(|(name, value)| too_long(name) || too_long(value))
    {
        return Err(Failure::bad_parameter(format!(
            "An object has at most {MAX_TAGS} tags of at most {MAX_TAG_CHARS} characters."
        )));
    }
    Ok(())
}
