//! The query string: parsed to known parameters, and rendered anew.
//!
//! Parameter names are percent-decoded before they are compared, because one real SDK sends
//! `api%2Dversion`. Duplicates and unknown names are refused, so the proxy and the vault cannot
//! disagree on which of two values counts.

use thiserror::Error;

use super::name::ApiVersion;

/// The longest value; Key Vault's continuation tokens are a few hundred characters.
const MAX_VALUE_BYTES: usize = 4096;

/// Why a query was refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum QueryError {
    /// There is no `api-version`.
    #[error("the api-version query parameter is required")]
    NoApiVersion,
    /// The `api-version` has no known form.
    #[error("the specified version is not recognized: {0}")]
    ApiVersion(#[from] super::name::NameError),
    /// A name occurs twice.
    #[error("the query parameter `{0}` occurs more than once")]
    Duplicate(Box<str>),
    /// A name is not one of Key Vault's, or is not spelled as Key Vault spells it. The text does
    /// not repeat it: what stands there may be a secret that somebody put in the wrong place.
    #[error("the query has an unknown parameter; expected {}", Query::KNOWN.join(", "))]
    Unknown,
    /// `maxresults` is not a number from 1 to 25.
    #[error("maxresults must be a number from 1 to 25")]
    MaxResults,
    /// A percent escape, a character or a length that no client sends.
    #[error("the query is malformed")]
    Malformed,
}

/// Where the next page of a list begins: the value of `$skiptoken`, escaped as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkipToken(Box<str>);

impl SkipToken {
    /// The value, as it may stand in a query.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A parsed query: one `api-version` and the other parameters in the caller's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    api_version: ApiVersion,
    /// Names as Key Vault spells them, values escaped as they came.
    others: Vec<(Box<str>, Box<str>)>,
}

impl Query {
    /// The parameters clients in use send, as Key Vault spells them.
    pub const KNOWN: &[&str] = &[
        "api-version",
        "maxresults",
        "$skiptoken",
        "includePending",
        "outContentType",
        "request_id",
    ];

    /// Reads the part after `?`.
    ///
    /// `extra` names parameters that the configuration lets pass besides the known ones.
    ///
    /// # Errors
    /// Everything [`QueryError`] lists.
    pub fn parse(text: &str, extra: &[Box<str>]) -> Result<Self, QueryError> {
        let mut api_version = None;
        let mut others: Vec<(Box<str>, Box<str>)> = Vec::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name)?;
            if value.len() > MAX_VALUE_BYTES {
                return Err(QueryError::Malformed);
            }
            let decoded = decode(value)?;
            if !Self::KNOWN.contains(&name.as_str()) && !extra.iter().any(|known| **known == *name)
            {
                return Err(QueryError::Unknown);
            }
            let repeated = if name == "api-version" {
                api_version
                    .replace(decoded.parse::<ApiVersion>()?)
                    .is_some()
            } else {
                if name == "maxresults" && !is_page_size(&decoded) {
                    return Err(QueryError::MaxResults);
                }
                let repeated = others.iter().any(|(seen, _)| **seen == *name);
                others.push((name.as_str().into(), value.into()));
                repeated
            };
            if repeated {
                return Err(QueryError::Duplicate(name.into()));
            }
        }
        Ok(Self {
            api_version: api_version.ok_or(QueryError::NoApiVersion)?,
            others,
        })
    }

    /// The `api-version`.
    pub const fn api_version(&self) -> &ApiVersion {
        &self.api_version
    }

    /// Where the page begins that is asked for; `None` for the first.
    pub fn skip_token(&self) -> Option<SkipToken> {
        let mut others = self.others.iter();
        let (_, value) = others.find(|(name, _)| **name == *"$skiptoken")?;
        Some(SkipToken(value.clone()))
    }

    /// `maxresults`: how many entries the caller wants on a page.
    pub fn max_results(&self) -> Option<i64> {
        let (_, value) = self
            .others
            .iter()
            .find(|(name, _)| **name == *"maxresults")?;
        // Checked when it was read; it may be escaped.
        decode(value).ok()?.parse().ok()
    }

    /// Appends the query to `out`, `api-version` first, without the `?`.
    pub(super) fn render(&self, out: &mut String) {
        out.push_str("api-version=");
        out.push_str(self.api_version.as_str());
        for (name, value) in &self.others {
            out.push('&');
            out.push_str(name);
            out.push('=');
            out.push_str(value);
        }
    }
}

fn is_page_size(text: &str) -> bool {
    // `parse` would also take `+5`.
    text.bytes().all(|b| b.is_ascii_digit())
        && text.parse::<u8>().is_ok_and(|n| (1..=25).contains(&n))
}

/// Decodes percent escapes; the bytes outside escapes must be ones a URL may hold unescaped.
///
/// A value that passes can be sent on as it came: it has no `&`, `#`, white space or control
/// character, escaped ones included where they could end a line. Nor a bare `;`, which some servers
/// take for `&`.
fn decode(text: &str) -> Result<String, QueryError> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => {
                let digit = |byte: Option<u8>| byte.and_then(|b| char::from(b).to_digit(16));
                let (Some(high), Some(low)) = (digit(bytes.next()), digit(bytes.next())) else {
                    return Err(QueryError::Malformed);
                };
                u8::try_from(high * 16 + low).map_err(|_| QueryError::Malformed)?
            }
            b if b.is_ascii_alphanumeric() || b"-._~!$'()*,:@/?+=".contains(&b) => b,
            _ => return Err(QueryError::Malformed),
        };
        if byte.is_ascii_control() {
            return Err(QueryError::Malformed);
        }
        decoded.push(byte);
    }
    String::from_utf8(decoded).map_err(|_| QueryError::Malformed)
}

#[cfg(test)]
mod tests {

    use super::*;

    fn rendered(text: &str) -> Result<String, QueryError> {
        let mut out = String::new();
        Query::parse(text, &[])?.render(&mut out);
        Ok(out)
    }

    #[test]
    fn queries_of_real_clients_pass() {
        for (text, expected) in [
            ("api-version=7.4", "api-version=7.4"),
            ("api%2Dversion=2026-04-01", "api-version=2026-04-01"),
            ("api-version=2026%2D04%2D01", "api-version=2026-04-01"),
            (
                "api-version=7.4&$skiptoken=eyJ0Zg==&maxresults=25",
                "api-version=7.4&$skiptoken=eyJ0Zg==&maxresults=25",
            ),
            (
                "%24skiptoken=a%2Fb&api-version=7.5",
                "api-version=7.5&$skiptoken=a%2Fb",
            ),
            (
                "outContentType=application%2Fx-pem-file&api-version=2026-04-01",
                "api-version=2026-04-01&outContentType=application%2Fx-pem-file",
            ),
            (
                "includePending=true&api-version=7.6-preview.2&",
                "api-version=7.6-preview.2&includePending=true",
            ),
        ] {
            assert_eq!(rendered(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_could_be_read_two_ways_is_refused() {
        for (text, error) in [
            ("", QueryError::NoApiVersion),
            ("maxresults=5", QueryError::NoApiVersion),
            (
                "api-version=7.4&api-version=7.4",
                QueryError::Duplicate("api-version".into()),
            ),
            (
                "api-version=7.4&api%2Dversion=7.5",
                QueryError::Duplicate("api-version".into()),
            ),
            (
                "api-version=7.4&maxresults=1&maxresults=2",
                QueryError::Duplicate("maxresults".into()),
            ),
            ("API-Version=7.4", QueryError::Unknown),
            ("api-version=7.4&x=/secrets/public", QueryError::Unknown),
            ("api-version=7.4&maxresults=26", QueryError::MaxResults),
            ("api-version=7.4&maxresults=+5", QueryError::MaxResults),
            ("api-version=7.4&maxresults=0", QueryError::MaxResults),
            (
                "api-version=7.4&$skiptoken=%0d%0aHost:%20x",
                QueryError::Malformed,
            ),
            ("api-version=7.4&$skiptoken=%zz", QueryError::Malformed),
            ("api-version=7.4&$skiptoken=%e", QueryError::Malformed),
            ("api-version=7.4&$skiptoken=%ff", QueryError::Malformed),
            ("api-version=7.4&$skiptoken=a#b", QueryError::Malformed),
            ("api-version=7.4&$skiptoken=a\\b", QueryError::Malformed),
            (
                "api-version=7.4&$skiptoken=a;maxresults=1",
                QueryError::Malformed,
            ),
        ] {
            assert_eq!(rendered(text), Err(error), "{text}");
        }
        assert!(matches!(
            rendered("api-version=latest"),
            Err(QueryError::ApiVersion(_))
        ));
    }

    #[test]
    fn the_page_size_is_read_escaped_or_not() {
        let size = |text: &str| Query::parse(text, &[]).unwrap().max_results();
        assert_eq!(size("api-version=7.4&maxresults=25"), Some(25));
        assert_eq!(size("api-version=7.4&maxresults=%32%35"), Some(25));
        assert_eq!(size("api-version=7.4"), None);
    }

    #[test]
    fn a_configured_parameter_passes() {
        assert!(Query::parse("api-version=7.4&trace=1", &["trace".into()]).is_ok());
    }

    #[test]
    fn an_unknown_parameter_is_told_what_is_known_and_not_repeated() {
        let error = Query::parse("api-version=7.4&sig=secret", &[]).unwrap_err();
        let text = error.to_string();
        assert!(
            Query::KNOWN.iter().all(|known| text.contains(known)),
            "{text}"
        );
        assert!(!text.contains("sig") && !text.contains("secret"), "{text}");
    }
}
