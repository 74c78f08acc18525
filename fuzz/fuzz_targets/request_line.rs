//! `RUSTC_BOOTSTRAP=1 cargo fuzz run request_line`; what must hold is said in `properties/request_line.rs`.
#![no_main]

#[path = "../properties/request_line.rs"]
mod property;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    property::check(data);
});
