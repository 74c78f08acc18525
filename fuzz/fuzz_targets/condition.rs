//! `RUSTC_BOOTSTRAP=1 cargo fuzz run condition`; what must hold is said in `properties/condition.rs`.
#![no_main]

#[path = "../properties/condition.rs"]
mod property;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    property::check(data);
});
