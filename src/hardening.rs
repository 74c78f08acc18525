//! What the process does against its own faults and for the case that it is taken over: panics are
//! counted and told without what they carry.

pub mod panics;
