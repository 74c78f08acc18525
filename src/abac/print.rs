//! Tree -> text: on one line, and laid out as Azure's documentation does.
//!
//! Parentheses are written where the tree needs them, so that a text that was printed is read as
//! the same tree.

use std::fmt;

use super::expr::{
    Attribute, Comparison, Connective, Expr, Form, Literal, Mixed, Operand, Operator, Quantifier,
    Source,
};
use super::parse::MAX_DEPTH;

impl Expr {
    /// The expression over several lines: each operand and each connective on its own, parentheses
    /// too, one space of indentation per level; `( guards OR expression )` with both sides in
    /// parentheses. No line break at the end.
    pub fn layout(&self) -> impl fmt::Display + '_ {
        Layout(self)
    }

    /// Whether it is made of others that are joined.
    const fn is_joined(&self) -> bool {
        matches!(self, Self::All(_) | Self::Any(_) | Self::Mixed(_))
    }

    /// What it joins, each operand with what joins it to the one before.
    fn operands(&self) -> Vec<(Option<Connective>, &Self)> {
        match self {
            Self::All(operands) => joined_by(Connective::And, operands),
            Self::Any(operands) => joined_by(Connective::Or, operands),
            Self::Mixed(mixed) => {
                let Mixed { first, rest } = mixed.as_ref();
                let rest = rest.iter().map(|(join, operand)| (Some(*join), operand));
                std::iter::once((None, first)).chain(rest).collect()
            }
            Self::Not(_)
            | Self::Action(_)
            | Self::SubOperation(_)
            | Self::Exists(_)
            | Self::Compare(_) => vec![(None, self)],
        }
    }

    /// How deep its parentheses and negations nest.
    fn depth(&self) -> usize {
        match self {
            Self::Not(inner) if inner.is_joined() => inner.depth(),
            Self::Not(inner) => 1 + inner.depth(),
            Self::Action(_) | Self::SubOperation(_) | Self::Exists(_) | Self::Compare(_) => 0,
            Self::All(_) | Self::Any(_) | Self::Mixed(_) => {
                let depths = self.operands().into_iter().map(|(_, e)| e.depth());
                1 + depths.max().unwrap_or(0)
            }
        }
    }

    /// Whether it exempts actions: `!(ActionMatches{…} …)`, or several of these.
    pub(super) fn is_guard(&self) -> bool {
        if let Self::All(operands) = self {
            return operands.iter().all(Self::is_guard);
        }
        let Self::Not(inner) = self else {
            return false;
        };
        let is_action = |e: &Self| matches!(e, Self::Action(_));
        is_action(inner) || matches!(&**inner, Self::All(parts) if parts.iter().any(is_action))
    }
}

fn joined_by(connective: Connective, operands: &[Expr]) -> Vec<(Option<Connective>, &Expr)> {
    let joins = std::iter::once(None).chain(std::iter::repeat(Some(connective)));
    joins.zip(operands).collect()
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(_) | Self::Any(_) | Self::Mixed(_) => {
                for (join, operand) in self.operands() {
                    if let Some(join) = join {
                        write!(f, " {join} ")?;
                    }
                    if operand.is_joined() {
                        write!(f, "({operand})")?;
                    } else {
                        write!(f, "{operand}")?;
                    }
                }
                Ok(())
            }
            Self::Not(inner) if inner.is_joined() || matches!(**inner, Self::Action(_)) => {
                write!(f, "!({inner})")
            }
            Self::Not(inner) => write!(f, "NOT {inner}"),
            Self::Action(pattern) => write!(f, "ActionMatches{{'{pattern}'}}"),
            Self::SubOperation(pattern) => write!(f, "SubOperationMatches{{'{pattern}'}}"),
            Self::Exists(attribute) => write!(f, "Exists {attribute}"),
            Self::Compare(comparison) => comparison.fmt(f),
        }
    }
}

impl fmt::Display for Connective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::And => "AND",
            Self::Or => "OR",
        })
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.left)?;
        if let Some(quantifier) = self.quantifier {
            write!(f, "{quantifier}:")?;
        }
        write!(f, "{} {}", self.operator, self.right)
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attribute(attribute) => attribute.fmt(f),
            Self::Literal(literal) => literal.fmt(f),
            Self::Set(literals) => {
                f.write_str("{")?;
                for (i, literal) in literals.iter().enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    write!(f, "{comma}{literal}")?;
                }
                f.write_str("}")
            }
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "'{text}'"),
            Self::Integer(number) => number.fmt(f),
            Self::Boolean(value) => value.fmt(f),
            Self::DateTime(time) => write!(f, "'{time}'"),
            Self::Guid(guid) => guid.fmt(f),
        }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Quantifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "@{}", self.name())
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}", self.source, self.path)?;
        match &self.form {
            Form::Bare => f.write_str("]"),
            Form::Name(name) => write!(f, ":{name}]"),
            Form::Key(key) => write!(f, ":{key}<$key_case_sensitive$>]"),
            Form::Keys => f.write_str("&$keys$&]"),
        }
    }
}

/// An expression over several lines.
struct Layout<'a>(&'a Expr);

impl fmt::Display for Layout<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The parentheses that are there for the looks must not make a readable text unreadable.
        let room = self.0.depth() + 2 <= MAX_DEPTH;
        let lines = Lines { room };
        if room && is_clause(self.0) {
            lines.in_parentheses(f, self.0, 0)
        } else {
            lines.expression(f, self.0, 0)
        }
    }
}

/// Whether it is `guards OR expression`.
fn is_clause(expr: &Expr) -> bool {
    matches!(expr, Expr::Any(operands) if operands.iter().any(Expr::is_guard))
}

/// How lines are written. Every function writes the indentation, and no line break at the end.
struct Lines {
    /// Whether there may be parentheses that are not needed.
    room: bool,
}

impl Lines {
    fn expression(&self, f: &mut fmt::Formatter<'_>, expr: &Expr, level: usize) -> fmt::Result {
        if let Expr::Not(inner) = expr
            && inner.operands().into_iter().any(|(_, e)| e.is_joined())
        {
            return self.negation(f, inner, level);
        }
        if !expr.is_joined() {
            return write!(f, "{:level$}{expr}", "");
        }
        let wrap = self.room && is_clause(expr);
        for (join, operand) in expr.operands() {
            if let Some(join) = join {
                write!(f, "\n{:level$}{join}\n", "")?;
            }
            if operand.is_joined() || wrap {
                self.in_parentheses(f, operand, level)?;
            } else {
                self.expression(f, operand, level)?;
            }
        }
        Ok(())
    }

    fn in_parentheses(&self, f: &mut fmt::Formatter<'_>, expr: &Expr, level: usize) -> fmt::Result {
        writeln!(f, "{:level$}(", "")?;
        self.expression(f, expr, level + 1)?;
        write!(f, "\n{:level$})", "")
    }

    /// `!( … )` around what is too much for one line.
    fn negation(&self, f: &mut fmt::Formatter<'_>, inner: &Expr, level: usize) -> fmt::Result {
        writeln!(f, "{:level$}!(", "")?;
        self.expression(f, inner, level + 1)?;
        write!(f, "\n{:level$})", "")
    }
}
