//! Panics: counted, and told without their message.
//!
//! No input is known to cause one, and the code is written so that none can; this is for what
//! nobody knows. A panic ends the task it happens in: over HTTP/1.1 that is the connection, over
//! HTTP/2 the one stream, which is reset. What the request held is given back as for a client that
//! left, and its record says `internal_error`. Nothing else is harmed: no lock is held across a
//! request's steps, and the pools of connections take back only what has ended well.

use std::panic::{self, PanicHookInfo};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// With `panic = "abort"` one bad request would end the proxy for everybody.
const _: () = assert!(cfg!(panic = "unwind"), "Portcullis outlives its panics");

/// What is told in place of a message that was made when the panic happened.
const WITHHELD: &str = "withheld, as it may hold what a request carried";

static COUNT: AtomicU64 = AtomicU64::new(0);

/// Has every panic of this process counted and logged from now on, in place of the text that Rust
/// would write to standard error.
pub fn watch() {
    panic::set_hook(Box::new(note));
}

/// How many panics there were since [`watch`].
pub fn count() -> u64 {
    COUNT.load(Ordering::Relaxed)
}

fn note(info: &PanicHookInfo<'_>) {
    COUNT.fetch_add(1, Ordering::Relaxed);
    // SECURITY: a formatted message may show any value, as that of a failed `unwrap` does. One that
    // is a `&'static str` stands in the source of the program, and can hold nothing.
    let message = info.payload().downcast_ref::<&'static str>();
    let location = info
        .location()
        .map_or_else(String::new, ToString::to_string);
    let thread = thread::current();
    tracing::error!(
        thread = thread.name().unwrap_or_default(),
        location,
        reason = message.copied().unwrap_or(WITHHELD),
        "a panic ended what this thread was doing"
    );
}
