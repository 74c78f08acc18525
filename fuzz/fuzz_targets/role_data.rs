//! `RUSTC_BOOTSTRAP=1 cargo fuzz run role_data`; what must hold is said in `properties/role_data.rs`.
#![no_main]

#[path = "../properties/role_data.rs"]
mod property;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    property::check(data);
});
