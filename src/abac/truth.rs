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
    /// It cannot be said yet: these have to be fetched first, and may make it anything.
    Pending(Needs),
}

impl Truth {
    /// `NOT`
    #[must_use]
    pub const fn negate(self) -> Self {
        match self {
            Self::True => Self::False,
            Self::False => Self::True,
            Self::Undefined | Self::Pending(_) => self,
        }
    }

    /// `AND`: false if either is; else pending, else undefined, else true.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::False, _) | (_, Self::False) => Self::False,
            (Self::Pending(a), Self::Pending(b)) => Self::Pending(a.union(b)),
            (Self::Pending(needs), _) | (_, Self::Pending(needs)) => Self::Pending(needs),
            (Self::Undefined, _) | (_, Self::Undefined) => Self::Undefined,
            (Self::True, Self::True) => Self::True,
        }
    }

    /// `OR`: true if either is; else pending, else undefined, else false.
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
    pub fn agree(self, other: Self) -> Self {
        match (self, other) {
            (Self::Pending(a), Self::Pending(b)) => Self::Pending(a.union(b)),
            (Self::Pending(needs), _) | (_, Self::Pending(needs)) => Self::Pending(needs),
            (a, b) if a == b => a,
            _ => Self::Undefined,
        }
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
