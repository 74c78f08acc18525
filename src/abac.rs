//! Azure's condition language (`conditionVersion` 2.0): read, printed, evaluated, specialised.
//!
//! A condition is a boolean expression over attributes of the request, the resource, the principal
//! and the environment. Pure: text and attributes in, [`Truth`] out.
//!
//! ```text
//! text --parse--> Expr --specialise for one data action--> Residual --evaluate--> Truth
//!                   \--evaluate, trace, lint, print
//! ```
//!
//! # Four values of truth
//!
//! Three are Kleene's; the fourth says that nobody has looked yet.
//!
//! | value | means | role assignment | deny assignment |
//! |---|---|---|---|
//! | `True` | it holds | grants | denies |
//! | `False` | it does not hold | does not grant | does not deny |
//! | `Undefined` | an attribute is missing or of another type | does not grant | denies |
//! | `Pending` | it depends on something that was not fetched yet | fetch, then decide | the same |
//!
//! `NOT` keeps `Undefined`, so that no negation turns absence into access.
//!
//! Sources: <https://learn.microsoft.com/azure/role-based-access-control/conditions-format>,
//! <https://learn.microsoft.com/azure/key-vault/general/rbac-abac>.

mod compare;
mod datetime;
mod error;
mod eval;
mod expr;
mod hint;
mod lex;
mod like;
mod lint;
mod operator;
mod parse;
mod print;
mod residual;
mod trace;
mod truth;
mod value;
pub mod vocabulary;

pub use datetime::{DateTime, DateTimeError};
pub use error::{ParseError, ParseErrorKind};
pub use eval::{Context, evaluate};
pub use expr::{
    Attribute, Comparison, Connective, Expr, Form, Literal, Mixed, Operand, Operator, Order,
    Quantifier, Source, StringTest,
};
pub use lint::{Knowledge, Lint, Warning, concerns_key_vault, lint};
pub use parse::{MAX_BYTES, MAX_DEPTH, MAX_SET, Mode, parse};
pub use residual::{Blame, Residual, Target};
pub use trace::{Finding, Trace, trace};
pub use truth::{Needs, Truth};
pub use value::{Attributes, Lookup, Scalar, Values};
