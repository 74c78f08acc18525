//! Names of what Azure names by GUIDs.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::dice::mix;

/// A GUID, written with hyphens in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Guid(pub u128);

/// What a GUID names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Tenant = 1,
    Subscription,
    Principal,
    Group,
    Role,
    RoleAssignment,
    DenyAssignment,
    Version,
}

impl Guid {
    /// The all-zero GUID, by which Azure means everyone.
    pub const ZERO: Self = Self(0);

    /// The name of the thing with this number.
    pub(crate) fn of(seed: u64, named: Named, number: usize) -> Self {
        let number = u64::try_from(number).unwrap_or(u64::MAX);
        let high = mix(mix(seed ^ ((named as u64) << 56)).wrapping_add(number));
        let low = mix(high ^ 0x9e37_79b9_7f4a_7c15);
        let random = (u128::from(high) << 64) | u128::from(low);
        // Version 4, variant 1, as Azure's random ones.
        let cleared = random & !(0xf << 76) & !(0x3 << 62);
        Self(cleared | (0x4 << 76) | (0x2 << 62))
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // By hand: a gigabyte of export is mostly GUIDs.
        let mut text = [b'-'; 36];
        let mut shift = 128;
        for (index, digit) in text.iter_mut().enumerate() {
            if !matches!(index, 8 | 13 | 18 | 23) {
                shift -= 4;
                let nibble = usize::try_from((self.0 >> shift) & 0xf).unwrap_or(0);
                *digit = b"0123456789abcdef".get(nibble).copied().unwrap_or(b'0');
            }
        }
        f.write_str(str::from_utf8(&text).unwrap_or(""))
    }
}

impl Serialize for Guid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_is_written_as_azure_writes_it() {
        let guid = Guid(0x0d9f_8a7b_6c5d_4e3f_9a2b_1c0d_9e8f_7a6b);
        assert_eq!(guid.to_string(), "0d9f8a7b-6c5d-4e3f-9a2b-1c0d9e8f7a6b");
        let made = Guid::of(1, Named::Role, 7).to_string();
        assert_eq!(made.as_bytes()[14], b'4');
        assert!(b"89ab".contains(&made.as_bytes()[19]));
    }

    #[test]
    fn things_have_names_of_their_own() {
        let names = [
            Named::Tenant,
            Named::Group,
            Named::Principal,
            Named::Version,
        ];
        let all: std::collections::HashSet<Guid> = names
            .into_iter()
            .flat_map(|named| (0..1000).map(move |number| Guid::of(1, named, number)))
            .collect();
        assert_eq!(all.len(), 4000);
    }
}
