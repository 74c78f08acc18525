//! Any bytes as an overlay file: nothing panics, and what is granted is granted to whom it names.
//! Gives whether it is read.

use portcullis::assignments::overlay;

pub(crate) fn check(data: &[u8]) -> bool {
    match overlay::parse(data) {
        Ok(read) => {
            let text = String::from_utf8_lossy(data).to_ascii_lowercase();
            // An escape can spell a digit in other ways.
            let plain = !text.contains("\\u");
            for assignment in read.role_assignments.iter().filter(|_| plain) {
                assert!(text.contains(&assignment.principal.to_string()));
            }
            true
        }
        Err(errors) => {
            assert!(!errors.to_string().is_empty());
            false
        }
    }
}
