//! Requests for the asked vault.

use std::collections::HashMap;

use serde::Serialize;

use crate::assignments::RoleAssignment;
use crate::conditions::Asked;
use crate::dice::Dice;
use crate::guid::{Guid, Named};
use crate::people::{Holder, Principal, PrincipalKind};
use crate::tenant::Tenant;
use crate::tree::{ObjectType, Place};

/// One request, and what there is to know of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Request {
    /// The caller's object id.
    pub object_id: Guid,
    /// `User` or `ServicePrincipal`.
    pub kind: &'static str,
    /// The caller's transitive groups.
    pub groups: Vec<Guid>,
    /// The method.
    pub method: &'static str,
    /// Path and query, as a client sends them.
    pub path_and_query: String,
    /// The one data action it needs.
    pub data_action: &'static str,
    /// The segment of the object's kind, such as `secrets`; `None` for a list.
    pub collection: Option<&'static str>,
    /// The object's name; `None` for a list.
    pub name: Option<String>,
    /// Whether the client came by a private link.
    pub private_link: bool,
}

impl Request {
    /// Whether the caller is a user.
    pub fn is_user(&self) -> bool {
        self.kind == PrincipalKind::User.as_str()
    }
}

/// What is asked for.
struct Ask {
    /// How often in 100.
    percent: usize,
    method: &'static str,
    object: ObjectType,
    /// What follows the name; `None` for a list.
    verb: Option<&'static str>,
    data_action: &'static str,
}

const ASKS: [Ask; 7] = [
    Ask {
        percent: 46,
        method: "GET",
        object: ObjectType::Secret,
        verb: Some(""),
        data_action: "Microsoft.KeyVault/vaults/secrets/getSecret/action",
    },
    Ask {
        percent: 8,
        method: "GET",
        object: ObjectType::Secret,
        verb: None,
        data_action: "Microsoft.KeyVault/vaults/secrets/readMetadata/action",
    },
    Ask {
        percent: 10,
        method: "PUT",
        object: ObjectType::Secret,
        verb: Some(""),
        data_action: "Microsoft.KeyVault/vaults/secrets/setSecret/action",
    },
    Ask {
        percent: 12,
        method: "POST",
        object: ObjectType::Key,
        verb: Some("/sign"),
        data_action: "Microsoft.KeyVault/vaults/keys/sign/action",
    },
    Ask {
        percent: 10,
        method: "POST",
        object: ObjectType::Key,
        verb: Some("/wrapkey"),
        data_action: "Microsoft.KeyVault/vaults/keys/wrap/action",
    },
    Ask {
        percent: 4,
        method: "GET",
        object: ObjectType::Key,
        verb: Some(""),
        data_action: "Microsoft.KeyVault/vaults/keys/read",
    },
    Ask {
        percent: 10,
        method: "GET",
        object: ObjectType::Certificate,
        verb: Some(""),
        data_action: "Microsoft.KeyVault/vaults/certificates/read",
    },
];

/// Makes requests: most by somebody who holds a role for it, some by somebody who holds none.
pub(crate) struct Asker<'a> {
    tenant: &'a Tenant,
    dice: Dice,
    /// Those that apply to the asked vault and that some caller holds.
    applying: Vec<&'a RoleAssignment>,
    /// The same by who holds them.
    held: HashMap<Holder, Vec<&'a RoleAssignment>>,
    /// Who is in the groups that hold one of them.
    members: HashMap<usize, Vec<usize>>,
}

impl<'a> Asker<'a> {
    pub(crate) fn new(tenant: &'a Tenant, seed: u64) -> Self {
        let vault = tenant.vault.number;
        let applies = |one: &&RoleAssignment| tenant.tree.reaches(one.place, vault);
        let applying: Vec<_> = tenant.role_assignments.iter().filter(applies).collect();
        let mut held: HashMap<Holder, Vec<_>> = HashMap::new();
        let mut members: HashMap<usize, Vec<usize>> = HashMap::new();
        for &one in &applying {
            held.entry(one.holder).or_default().push(one);
            if let Holder::Group(group) = one.holder {
                members.entry(group).or_default();
            }
        }
        for (number, principal) in tenant.people.principals.iter().enumerate() {
            for group in &principal.groups {
                if let Some(known) = members.get_mut(group) {
                    known.push(number);
                }
            }
        }
        Self {
            tenant,
            dice: Dice::new(seed, 5),
            applying,
            held,
            members,
        }
    }

    /// The next request.
    pub(crate) fn ask(&mut self) -> Request {
        let private_link = self.dice.percent(85);
        let entitled = self.dice.percent(80);
        for _ in 0..50 {
            let request = if entitled {
                self.entitled(private_link)
            } else {
                self.stranger(private_link)
            };
            if let Some(request) = request {
                return request;
            }
        }
        self.anybody(private_link).0
    }

    /// Somebody who holds a role for it; `None` if the dice find nobody or nothing.
    fn entitled(&mut self, private_link: bool) -> Option<Request> {
        let assignment = *self.dice.pick(&self.applying)?;
        let role = self.tenant.roles.definitions.get(assignment.role)?;
        let ask = self.draw();
        let object = match assignment.place {
            Place::Object(_, object, number) => Some((object, number)),
            Place::ManagementGroup(_)
            | Place::Subscription(_)
            | Place::ResourceGroup(_)
            | Place::Vault(_) => None,
        };
        let fits = object.is_none_or(|(object, _)| ask.verb.is_some() && ask.object == object);
        if !fits || !role.holds(ask.data_action) {
            return None;
        }
        let principal = match assignment.holder {
            Holder::Principal(number) => number,
            Holder::Group(group) => *self.dice.pick(self.members.get(&group)?)?,
        };
        let principal = self.tenant.people.principals.get(principal)?;
        let number = match object {
            Some((_, number)) => number,
            None => self.dice.below(ask.object.count()),
        };
        let request = self.request(principal, ask, number, private_link);
        let asked = Asked {
            data_action: ask.data_action,
            name: request.name.as_deref(),
            private_link,
            kind: principal.kind,
            environment: &self.tenant.vault.environment,
        };
        let condition = assignment.condition.as_ref();
        let holds = condition.is_none_or(|one| one.holds(&asked) == Some(true));
        holds.then_some(request)
    }

    /// Somebody who holds no role for it, whatever the conditions; `None` if the dice find another.
    fn stranger(&mut self, private_link: bool) -> Option<Request> {
        let (request, number, ask, object) = self.anybody(private_link);
        let principal = self.tenant.people.principals.get(number)?;
        let groups = principal.groups.iter().map(|group| Holder::Group(*group));
        let holders = std::iter::once(Holder::Principal(number)).chain(groups);
        let mut held = holders
            .filter_map(|holder| self.held.get(&holder))
            .flatten();
        let grants = held.any(|one| {
            let role = self.tenant.role(one);
            let covers = match one.place {
                Place::Object(_, kind, number) => (kind, number) == (ask.object, object),
                Place::ManagementGroup(_)
                | Place::Subscription(_)
                | Place::ResourceGroup(_)
                | Place::Vault(_) => true,
            };
            covers && role.is_some_and(|role| role.holds(ask.data_action))
        });
        (!grants).then_some(request)
    }

    /// Somebody at home in the vault's subscription who asks for anything: the request, the numbers
    /// of the caller and of the object, and what is asked for.
    fn anybody(&mut self, private_link: bool) -> (Request, usize, &'static Ask, usize) {
        let people = &self.tenant.people;
        let number = people.principal_at(&mut self.dice, self.tenant.vault.subscription);
        let ask = self.draw();
        let object = self.dice.below(ask.object.count());
        let nobody = Principal {
            id: Guid::ZERO,
            kind: PrincipalKind::User,
            groups: Vec::new(),
        };
        let principal = people.principals.get(number).unwrap_or(&nobody);
        let request = self.request(principal, ask, object, private_link);
        (request, number, ask, object)
    }

    fn draw(&mut self) -> &'static Ask {
        let mut drawn = self.dice.below(100);
        for ask in &ASKS {
            match drawn.checked_sub(ask.percent) {
                Some(left) => drawn = left,
                None => return ask,
            }
        }
        &ASKS[0]
    }

    fn request(
        &self,
        principal: &Principal,
        ask: &Ask,
        number: usize,
        private_link: bool,
    ) -> Request {
        let collection = ask.object.collection();
        let (path, name) = match ask.verb {
            None => (format!("/{collection}"), None),
            Some(verb) => {
                let name = ask.object.name(number);
                // Crypto clients name the version, the others ask for the latest.
                let version = match verb {
                    "" => String::new(),
                    _ => format!("/{:032x}", Guid::of(1, Named::Version, number).0),
                };
                (format!("/{collection}/{name}{version}{verb}"), Some(name))
            }
        };
        Request {
            object_id: principal.id,
            kind: principal.kind.as_str(),
            groups: self.tenant.people.group_ids(principal).collect(),
            method: ask.method,
            path_and_query: format!("{path}?api-version=7.4"),
            data_action: ask.data_action,
            collection: name.is_some().then_some(collection),
            name,
            private_link,
        }
    }
}
