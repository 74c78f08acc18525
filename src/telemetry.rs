//! Logging set-up: what the proxy says about itself, on standard error.
//!
//! Decisions are not logged here; they have a record with a schema, see [`crate::audit`].
//!
//! Two promises are kept here rather than at each call:
//!
//! * One event is one line, whatever a field contains.
//! * Crates other than this one log errors only. hyper, h2, rustls and reqwest describe traffic at
//!   `debug` and `trace`, and what they print is not ours to vouch for. What they warn of is what
//!   clients do: rustls repeats every malformed server name, h2 tells of every PING that it did not
//!   wait for, so that anybody who can connect could write into the log, and as much as they like.
//!   What matters of it is counted.

use std::io::{self, Write};

use thiserror::Error;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{Targets, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use crate::config::{Log, LogFormat, levels};

/// Why logging could not be set up.
#[derive(Debug, Error)]
pub enum TelemetryError {
    /// The filter is not one.
    #[error(
        "log filter `{filter}`: expected a level or `target=level` pairs such as `info` or `info,portcullis=debug`"
    )]
    Filter {
        /// The filter as it was configured.
        filter: Box<str>,
    },
    /// Logging was set up before.
    #[error("logging is already set up")]
    Twice,
}

/// Sets up logging for the whole process, once.
///
/// # Errors
/// [`TelemetryError::Filter`] for a filter that cannot be read or has a bare word that is no level,
/// [`TelemetryError::Twice`] when called again.
pub fn init(log: &Log) -> Result<(), TelemetryError> {
    subscriber(log, io::stderr)?
        .try_init()
        .map_err(|_| TelemetryError::Twice)
}

fn subscriber<W>(
    log: &Log,
    writer: W,
) -> Result<impl Subscriber + Send + Sync + 'static, TelemetryError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = filter(&log.filter)?;
    let lines = tracing_subscriber::fmt::layer().with_writer(OneLine(writer));
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match log.format {
        LogFormat::Human => lines.with_ansi(false).boxed(),
        LogFormat::Json => lines.json().with_ansi(false).boxed(),
    };
    // SECURITY: no configured filter can make other crates print what they carry.
    let lines = lines
        .with_filter(filter)
        .with_filter(filter_fn(is_ours_or_an_error));
    Ok(tracing_subscriber::registry().with(lines))
}

fn is_ours_or_an_error(metadata: &Metadata<'_>) -> bool {
    let rest = metadata.target().strip_prefix("portcullis");
    let is_ours = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"));
    is_ours || *metadata.level() == Level::ERROR
}

fn filter(text: &str) -> Result<Targets, TelemetryError> {
    levels(text).ok_or_else(|| TelemetryError::Filter {
        filter: text.into(),
    })
}

/// Writes each event as one line: control characters and their like inside it are escaped, as in
/// JSON.
///
/// SECURITY: a field shown with `%` may hold what a client sent; without this it could end the line
/// and forge another, or move the cursor of whoever reads it. `tracing-subscriber` escapes fields
/// shown with `?` and the message, but not those. This is also why there are no colours: a line
/// with escape sequences of our own could not be told from one with somebody else's.
struct OneLine<W>(W);

struct Line<W>(W);

impl<'w, W: MakeWriter<'w>> MakeWriter<'w> for OneLine<W> {
    type Writer = Line<W::Writer>;

    fn make_writer(&'w self) -> Self::Writer {
        Line(self.0.make_writer())
    }
}

impl<W: Write> Write for Line<W> {
    /// Takes a whole event; the formatter hands it over in one piece.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let body = event.strip_suffix(b"\n").unwrap_or(event);
        let text = String::from_utf8_lossy(body);
        if !text.contains(may_deceive) {
            return self.0.write_all(event).map(|()| event.len());
        }
        let mut line = String::with_capacity(event.len() + 16);
        for c in text.chars() {
            match c {
                '\n' => line.push_str("\\n"),
                '\r' => line.push_str("\\r"),
                c if may_deceive(c) => line.push_str(&format!("\\u{:04x}", u32::from(c))),
                c => line.push(c),
            }
        }
        line.push('\n');
        self.0.write_all(line.as_bytes()).map(|()| event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Control characters, and those by which a line looks like another text, or like two lines: the
/// separators of Unicode and the marks of writing direction (UAX #9).
fn may_deceive(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{61c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{2069}'
                | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, filter: &str, events: impl FnOnce()) -> String {
        let captured = Captured::default();
        let log = Log {
            format,
            filter: filter.into(),
        };
        let writer = captured.clone();
        let subscriber = subscriber(&log, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, events);
        let bytes = captured.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn an_event_is_one_line_whatever_it_holds() {
        for format in [LogFormat::Human, LogFormat::Json] {
            let text = logged(format, "info", || {
                let name = "a\r\n2026-01-01 INFO forged\u{1b}[2J\u{9b}2J\u{7f}\u{2028}\u{202e}";
                tracing::info!(%name, plain = name, "request for {name}");
            });
            assert_eq!(text.lines().count(), 1, "{text}");
            assert!(!text.trim_end_matches('\n').contains(may_deceive), "{text}");
        }
    }

    #[test]
    fn json_lines_are_json() {
        let text = logged(LogFormat::Json, "info", || {
            tracing::warn!(vault = "kv-a\"b", "late");
        });
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["fields"]["vault"], "kv-a\"b");
        assert_eq!(value["level"], "WARN");
    }

    #[test]
    fn other_crates_log_errors_only() {
        let text = logged(LogFormat::Human, "trace", || {
            tracing::trace!(target: "h2::codec", "frame with a header");
            tracing::debug!(target: "hyper_util::client", "connecting");
            tracing::debug!(target: "portcullisx", "not ours");
            tracing::error!(target: "hickory_net", "broken");
            tracing::warn!(target: "rustls::msgs::handshake", "a name from a client");
            tracing::warn!(target: "h2::proto::ping_pong", "a PING from a client");
            tracing::info!(target: "notify", "coarse");
            tracing::trace!("ours");
        });
        assert!(text.contains("broken") && text.contains("ours"), "{text}");
        assert_eq!(text.lines().count(), 2, "{text}");
    }

    #[test]
    fn filters_that_would_silence_by_mistake_are_refused() {
        for good in [
            "info",
            "INFO",
            "off",
            "warn,portcullis=debug",
            "info,portcullis::audit=trace",
        ] {
            assert!(filter(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "inof",
            "info,,warn",
            "portcullis=verbose",
            "info portcullis=debug",
        ] {
            assert!(
                matches!(filter(bad), Err(TelemetryError::Filter { .. })),
                "{bad}"
            );
        }
    }
}
