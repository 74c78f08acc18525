//! How large the tenants are that are measured.

use portcullis_tenants::{Shape, Tenant};

/// Why there is nothing to measure.
pub(crate) type Failure = Box<dyn std::error::Error>;

const ALL: &str = "100,4000,100000,1000000";

/// Numbers of role assignments: those that `PORTCULLIS_ASSIGNMENTS` lists, or all.
pub(crate) fn sizes() -> Result<Vec<usize>, Failure> {
    let wanted = std::env::var_os("PORTCULLIS_ASSIGNMENTS");
    let wanted = wanted.as_ref().map_or(Some(ALL), |text| text.to_str());
    let numbers = wanted.ok_or("`PORTCULLIS_ASSIGNMENTS` is no text")?;
    let sizes = numbers.split(',').map(|number| number.trim().parse());
    Ok(sizes.collect::<Result<_, _>>()?)
}

/// The tenant of that size.
pub(crate) fn tenant(assignments: usize) -> Tenant {
    Tenant::generate(Shape {
        assignments,
        seed: 1,
    })
}
