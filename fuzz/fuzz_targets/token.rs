//! `RUSTC_BOOTSTRAP=1 cargo fuzz run token`; what must hold is said in `properties/token.rs`.
#![no_main]

#[path = "../properties/token.rs"]
mod property;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    property::check(data);
});
