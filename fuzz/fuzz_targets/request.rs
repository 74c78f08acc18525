//! `RUSTC_BOOTSTRAP=1 cargo fuzz run request`; what must hold is said in `properties/request.rs`.
#![no_main]

#[path = "../properties/request.rs"]
mod property;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    property::check(data);
});
