//! Any bytes as an exported file of role data. What is read says the same when another program writes it anew, and grants nothing to whom it does not name.
//! Gives whether it is read.

use std::collections::BTreeSet;

use portcullis::assignments::wire::{self, Parsed};
use portcullis::principal::ObjectId;
use serde_json::Value;

pub(crate) fn check(data: &[u8]) -> bool {
    let Ok(parsed) = wire::parse(data) else {
        return false;
    };
    let text = wire::decode(data).unwrap();
    // Numbers beyond what another program holds are not its business.
    if let Ok(value) = serde_json::from_str::<Value>(&text) {
        said_anew(&value, &parsed);
        names_whom_it_names(&value, &parsed);
    }
    true
}

/// The order of an object's members and the spelling of its texts mean nothing.
fn said_anew(value: &Value, parsed: &Parsed) {
    let again = wire::parse(value.to_string().as_bytes());
    assert_eq!(again.map(in_order), Ok(in_order(parsed.clone())));
}

/// Groups are members of an object.
fn in_order(mut parsed: Parsed) -> Parsed {
    parsed.groups.sort_unstable();
    parsed
}

/// Every principal that is given something stands in the file.
fn names_whom_it_names(value: &Value, parsed: &Parsed) {
    let text = value.to_string().to_ascii_lowercase();
    let assignments = parsed.role_assignments.iter().map(|given| given.principal);
    let instances = parsed
        .schedule_instances
        .iter()
        .map(|given| given.principal);
    let members = parsed.groups.iter().map(|(principal, _groups)| *principal);
    let named: BTreeSet<ObjectId> = assignments.chain(instances).chain(members).collect();
    for principal in named {
        assert!(text.contains(&principal.to_string()), "{principal}");
    }
}
