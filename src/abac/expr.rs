//! The expression tree.

use uuid::Uuid;

use super::datetime::DateTime;
use super::vocabulary::Known;

/// A condition, or a part of one. Redundant parentheses leave no trace; needed ones are the tree.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Expr {
    /// Two or more, joined by `AND`.
    All(Vec<Expr>),
    /// Two or more, joined by `OR`.
    Any(Vec<Expr>),
    /// Three or more, joined by `AND` and `OR` without parentheses. Azure publishes no precedence:
    /// only what every reading agrees on counts. Read in [`super::Mode::Compatible`] only.
    Mixed(Box<Mixed>),
    /// `!` or `NOT`.
    Not(Box<Expr>),
    /// `ActionMatches{'pattern'}`: whether the data action matches the pattern.
    Action(Box<str>),
    /// `SubOperationMatches{'pattern'}`.
    SubOperation(Box<str>),
    /// `Exists @…[…]`: whether the attribute has a value.
    Exists(Attribute),
    /// A comparison.
    Compare(Box<Comparison>),
}

/// `first AND second OR third …`
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Mixed {
    /// The first operand.
    pub first: Expr,
    /// The others, each with what joins it to the one before. Both connectives occur.
    pub rest: Vec<(Connective, Expr)>,
}

/// `AND` or `OR`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Connective {
    /// `AND`, `&&`
    And,
    /// `OR`, `||`
    Or,
}

/// `left operator right`, or `left quantifier:operator right`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Comparison {
    /// What is compared.
    pub left: Operand,
    /// Over which pairs; `None` compares two single values.
    pub quantifier: Option<Quantifier>,
    /// How.
    pub operator: Operator,
    /// With what.
    pub right: Operand,
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Operand {
    /// The value or values of an attribute.
    Attribute(Attribute),
    /// A value without braces.
    Literal(Literal),
    /// `{v, v, …}`, not empty; only beside a quantifier.
    Set(Vec<Literal>),
}

/// A value written in a condition; its variant is the one its operator compares.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Literal {
    /// `'…'`, verbatim: backslashes included, which mean something to `StringLike` alone.
    Text(Box<str>),
    /// `42`
    Integer(i64),
    /// `true`
    Boolean(bool),
    /// `'2026-01-31T00:00:00.0Z'`
    DateTime(DateTime),
    /// `0d9f8a7b-6c5d-4e3f-9a2b-1c0d9e8f7a6b`
    Guid(Uuid),
}

/// Which pairs of left and right values must satisfy the operator.
///
/// The first word quantifies the left side, the second the right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Quantifier {
    /// Some left value and some right value.
    ForAnyOfAnyValues,
    /// Each left value, with some right value.
    ForAllOfAnyValues,
    /// Some left value, with each right value.
    ForAnyOfAllValues,
    /// Each left value, with each right value.
    ForAllOfAllValues,
}

/// How two values are compared. A negated operator negates the comparison of one pair, inside the
/// quantifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `String…`
    String {
        /// What is tested.
        test: StringTest,
        /// `…Not…`
        negated: bool,
        /// `…IgnoreCase`
        ignore_case: bool,
    },
    /// `Numeric…`
    Numeric(Order),
    /// `DateTime…`
    DateTime(Order),
    /// `GuidEquals`, `GuidNotEquals`
    Guid {
        /// `…Not…`
        negated: bool,
    },
    /// `BoolEquals`, `BoolNotEquals`
    Boolean {
        /// `…Not…`
        negated: bool,
    },
}

/// What a string operator tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StringTest {
    /// The whole text.
    Equals,
    /// The beginning.
    StartsWith,
    /// A pattern with `*` and `?`.
    Like,
    /// The end. Not in Azure's current documentation.
    EndsWith,
    /// Any part. Not in Azure's current documentation.
    Contains,
}

/// How two values with an order are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// `…Equals`
    Equals,
    /// `…NotEquals`
    NotEquals,
    /// `…GreaterThan`
    GreaterThan,
    /// `…GreaterThanEquals`
    GreaterThanEquals,
    /// `…LessThan`
    LessThan,
    /// `…LessThanEquals`
    LessThanEquals,
}

/// Where an attribute comes from: the word after `@`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// `@Resource`: what is accessed.
    Resource,
    /// `@Request`: what the caller asks for.
    Request,
    /// `@Principal`: who asks.
    Principal,
    /// `@Environment`: from where and when.
    Environment,
}

/// `@Source[…]`
///
/// Names are compared without regard to ASCII case, keys of [`Form::Key`] with it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Attribute {
    /// The word after `@`.
    pub source: Source,
    /// What stands before the colon, or all of it: `Microsoft.KeyVault/vaults/secrets`, `UtcNow`.
    pub path: Box<str>,
    /// What follows the path.
    pub form: Form,
    /// What it stands for in Key Vault; `None` if nothing, in which case a request never has it.
    pub known: Option<Known>,
}

/// What follows the path of an attribute.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// Nothing.
    Bare,
    /// `:name`; also the key of a dictionary, without regard to case.
    Name(Box<str>),
    /// `:key<$key_case_sensitive$>`: the value of one key of a dictionary.
    Key(Box<str>),
    /// `&$keys$&`: the names of all keys of a dictionary.
    Keys,
}
