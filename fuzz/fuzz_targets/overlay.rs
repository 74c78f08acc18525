//! `RUSTC_BOOTSTRAP=1 cargo fuzz run overlay`; what must hold is said in `properties/overlay.rs`.
#![no_main]

#[path = "../properties/overlay.rs"]
mod property;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    property::check(data);
});
