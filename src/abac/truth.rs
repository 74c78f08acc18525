//! Truth values and how they combine.

/// What an expression comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Truth {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// It cannot be said: an attribute is missing, or of another type than the operator's.
    Undefined,
    /// It cannot be said yet: something has to be fetched first.
    Pending(Pending),
}

/// What an expression may still come to, and on what that depends.
///
/// `Undefined AND x` never holds, whatever `x` turns out to be: for a role assignment nothing needs
/// to be fetched then, for a deny assignment `x` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pending {
    to_hold: Option<Needs>,
    to_fail: Option<Needs>,
}

impl Pending {
    /// May come to anything once `needs` are fetched.
    pub const fn on(needs: Needs) -> Self {
        Self {
            to_hold: Some(needs),
            to_fail: Some(needs),
        }
    }

    /// What to fetch to learn whether it holds; `None` if it cannot come to hold.
    pub const fn to_hold(self) -> Option<Needs> {
        self.to_hold
    }

    /// What to fetch to learn whether it is false; `None` if it cannot come to be false.
    pub const fn to_fail(self) -> Option<Needs> {
        self.to_fail
    }
}

impl Truth {
    /// `NOT`
    #[must_use]
    pub const fn negate(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::Undefined => Self::Undefined,
            Self::Pending(Pending { to_hold, to_fail }) => Self::Pending(Pending {
                to_hold: to_fail,
                to_fail: to_hold,
            }),
        }
    }

    /// Whether it holds or may come to.
    pub const fn may_hold(self) -> bool {
        self.holding().is_some()
    }

    /// What to fetch before it can hold; `None` if it cannot.
    const fn holding(self) -> Option<Needs> {
        match self {
            Self::True => Some(Needs::NOTHING),
            Self::False | Self::Undefined => None,
            Self::Pending(pending) => pending.to_hold,
        }
    }

    /// What to fetch before it can be false; `None` if it cannot.
    const fn failing(self) -> Option<Needs> {
        self.negate().holding()
    }

    /// What is left when neither operand alone decides.
    const fn still(to_hold: Option<Needs>, to_fail: Option<Needs>) -> Self {
        match (to_hold, to_fail) {
            (None, None) => Self::Undefined,
            _ => Self::Pending(Pending { to_hold, to_fail }),
        }
    }

    /// `AND`: false if either is, true if both are; else what both may come to.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::True, truth) | (truth, Self::True) => truth,
            (a, b) => Self::still(
                both(a.holding(), b.holding()),
                either(a.failing(), b.failing()),
            ),
        }
    }

    /// `OR`: true if either is, false if both are; else what both may come to.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        self.negate().and(other.negate()).negate()
    }

    /// `AND` of all; true for none. Looks no further than the first false one.
    #[must_use]
    pub fn all(truths: impl IntoIterator<Item = Self>) -> Self {
        let mut result = Self::True;
        for truth in truths {
            result = result.and(truth);
            if result == Self::False {
                break;
            }
        }
        result
    }

    /// `OR` of all; false for none. Looks no further than the first true one.
    #[must_use]
    pub fn any(truths: impl IntoIterator<Item = Self>) -> Self {
        Self::all(truths.into_iter().map(Self::negate)).negate()
    }

    /// What all readings of an ambiguous expression agree on; undefined if they differ.
    #[must_use]
    pub const fn agree(self, other: Self) -> Self {
        match (self, other) {
            (Self::True, Self::True) => Self::True,
            (Self::False, Self::False) => Self::False,
            (a, b) => Self::still(
                both(a.holding(), b.holding()),
                both(a.failing(), b.failing()),
            ),
        }
    }
}

/// What two outcomes need that must both come about.
const fn both(a: Option<Needs>, b: Option<Needs>) -> Option<Needs> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.union(b)),
        _ => None,
    }
}

/// What two outcomes need of which one must come about.
const fn either(a: Option<Needs>, b: Option<Needs>) -> Option<Needs> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.union(b)),
        (one, None) | (None, one) => one,
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::True } else { Self::False }
    }
}

/// What has to be fetched before an expression can be evaluated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Needs(u8);

impl Needs {
    /// Nothing.
    pub const NOTHING: Self = Self(0);
    /// The request's body.
    pub const BODY: Self = Self(1);
    /// The object's metadata, from the vault.
    pub const METADATA: Self = Self(2);
    /// Which version of the object is the current one, from the vault.
    pub const CURRENT_VERSION: Self = Self(4);

    /// The needs of either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is needed.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether nothing is needed.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}
