//! A tenant and its requests, as an application has them before it gives them to an engine.

use std::collections::HashMap;

use portcullis::keyvault::{DataAction, DataActionSet};

use crate::condition::{Formula, Source, Value};

/// Where in the tree an assignment stands, seen from the vault that is asked about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reach {
    /// At the vault or above it.
    Vault,
    /// At one object of the vault: `secrets/name`.
    Object(Box<str>),
    /// Somewhere else.
    Elsewhere,
}

impl Reach {
    /// The object, if it is one.
    pub(crate) fn object(&self) -> Option<&str> {
        match self {
            Self::Object(object) => Some(object),
            Self::Vault | Self::Elsewhere => None,
        }
    }

    /// Whether it applies to a request for this object, or for the vault.
    pub(crate) fn applies(&self, object: Option<&str>) -> bool {
        match self {
            Self::Vault => true,
            Self::Object(own) => object == Some(own),
            Self::Elsewhere => false,
        }
    }
}

/// A role: what is left of its patterns.
#[derive(Clone, Debug)]
pub(crate) struct Role {
    /// Its id.
    pub id: Box<str>,
    /// The data actions that it holds.
    pub held: DataActionSet,
}

/// A role assignment.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// Whose: a caller's or a group's object id.
    pub principal: Box<str>,
    /// At which resource id, in lower case.
    pub scope: Box<str>,
    /// The same, seen from the vault.
    pub reach: Reach,
    /// Which of [`World::roles`].
    pub role: usize,
    /// Which of [`World::conditions`].
    pub condition: Option<usize>,
}

/// A deny assignment. Those of the generated tenants have no condition.
#[derive(Clone, Debug)]
pub(crate) struct Deny {
    /// Whom it hits, by object id.
    pub principals: Vec<Box<str>>,
    /// Whether it hits everyone.
    pub everyone: bool,
    /// Whom it spares.
    pub excluded: Vec<Box<str>>,
    /// At which resource id, in lower case.
    pub scope: Box<str>,
    /// The same, seen from the vault.
    pub reach: Reach,
    /// Whether it applies to the vault itself and to nothing in it.
    pub here_only: bool,
    /// What it takes away.
    pub taken: DataActionSet,
}

impl Deny {
    /// Whether it applies to a request for this object, or for the vault.
    pub(crate) fn applies(&self, object: Option<&str>) -> bool {
        let below = self.reach == Reach::Vault && object.is_some();
        self.reach.applies(object) && !(self.here_only && below)
    }
}

/// A tenant.
#[derive(Debug)]
pub(crate) struct World {
    /// The scopes that contain the vault, in lower case: `/` first, the vault last.
    pub chain: Vec<Box<str>>,
    /// The vault's tags.
    pub vault_tags: Vec<(Box<str>, Box<str>)>,
    /// Role definitions.
    pub roles: Vec<Role>,
    /// Role assignments.
    pub rows: Vec<Row>,
    /// The distinct conditions of role assignments, or why one cannot be translated.
    pub conditions: Vec<Result<Formula, String>>,
    /// Deny assignments.
    pub denies: Vec<Deny>,
    /// The transitive groups of each caller, by object id.
    pub groups: HashMap<Box<str>, Vec<Box<str>>>,
    /// What facts stand for.
    pub sources: Vec<Source>,
}

/// One data action of a request, with what conditions ask about.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    /// The data action.
    pub action: DataAction,
    /// The facts of [`World::sources`], each in its place; `None` for what the request does not
    /// have.
    pub facts: Vec<Option<Value>>,
}

/// A request. All its data actions must be granted.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    /// The caller's object id.
    pub caller: Box<str>,
    /// The method.
    pub method: Box<str>,
    /// The path.
    pub path: Box<str>,
    /// The query.
    pub query: Option<Box<str>>,
    /// What is asked for, as `secrets/name` in lower case; `None` for the vault itself.
    pub object: Option<Box<str>>,
    /// What must be granted.
    pub checks: Vec<Check>,
    /// Whether the caller is a user; else it is an application.
    pub is_user: bool,
    /// Whether the client came by a private link.
    pub private_link: bool,
    /// Why nobody but Portcullis can be asked this, if so.
    pub foreign: Option<String>,
}

/// What an engine says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Yes.
    Allow,
    /// No.
    Deny,
    /// It was not asked, because this cannot be said to it.
    NotExpressed(String),
}

impl From<bool> for Answer {
    fn from(allowed: bool) -> Self {
        if allowed { Self::Allow } else { Self::Deny }
    }
}
