//! Portcullis, as its proxy asks it.
//!
//! From strings: the caller's token is known (one look-up by the caller's id stands for the token
//! cache), the request line is parsed, the role data in force is taken from the store, the caller's
//! entitlements from its cache, and the operation is decided on. That is what
//! `proxy::pipeline::authorize` does. No request of a generated tenant needs a body or an object's
//! metadata.
//!
//! The other engines are spared the request line: they are given data actions and names.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use portcullis::assignments;
use portcullis::assignments::store::{AssignmentPublisher, Assignments, store};
use portcullis::attributes::{Connection, Facts, Stage, Surroundings, VaultFacts};
use portcullis::keyvault::{Operation, route};
use portcullis::principal::{CallerKind, Claims, Evidence, Guid, TenantId, TokenGroups};
use portcullis::rbac::{Decision, Entitlements, Scope, VaultScope, decide};

use super::{Engine, Source};
use crate::Failure;
use crate::process::thread_time;
use crate::world::{Answer, Ask, World};

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Decision,
    FromStrings,
    NewCallers,
}

/// The proxy's view of the world around a request.
pub(crate) struct Scene {
    vault: VaultFacts,
    public: Connection,
    private: Connection,
    surroundings: Surroundings,
    claims: HashMap<Box<str>, Claims>,
    now: SystemTime,
}

struct Portcullis {
    part: Part,
    assignments: Assignments,
    scene: Scene,
    // Dropping it would end the store.
    _publisher: AssignmentPublisher,
}

/// Measures all that the proxy does to decide.
pub(crate) fn from_strings(source: &Source<'_>) -> Result<Box<dyn Engine>, Failure> {
    load(source, Part::FromStrings)
}

/// Measures the decision on a parsed operation and gathered entitlements.
pub(crate) fn decision_alone(source: &Source<'_>) -> Result<Box<dyn Engine>, Failure> {
    load(source, Part::Decision)
}

/// Measures the same as [`from_strings`] with callers that were never seen.
pub(crate) fn new_callers(source: &Source<'_>) -> Result<Box<dyn Engine>, Failure> {
    load(source, Part::NewCallers)
}

/// The vault, as role data is compiled for it.
fn vault_scope(world: &World) -> Result<VaultScope, Failure> {
    let scopes = world.chain.iter().map(|scope| scope.parse::<Scope>());
    let scopes = scopes.collect::<Result<Vec<_>, _>>()?;
    Ok(VaultScope {
        management_groups: Some(scopes.iter().filter_map(Scope::management_group).collect()),
        scope: scopes.last().cloned().ok_or("the vault has no scope")?,
    })
}

fn load(source: &Source<'_>, part: Part) -> Result<Box<dyn Engine>, Failure> {
    let scene = Scene::new(source.world, source.now)?;
    let (publisher, assignments) = store(vec![vault_scope(source.world)?], Duration::MAX);
    let loaded = assignments::load(&[source.exports.to_path_buf()], &[])?;
    publisher.publish(&loaded.data, loaded.fingerprint, scene.now);
    Ok(Box::new(Portcullis {
        part,
        assignments,
        scene,
        _publisher: publisher,
    }))
}

impl Scene {
    /// The scene of a tenant; callers are added by [`Scene::admit`].
    pub(crate) fn new(world: &World, now: i64) -> Result<Self, Failure> {
        let id = world.chain.last().ok_or("the vault has no scope")?;
        Ok(Self {
            vault: VaultFacts {
                name: id.rsplit('/').next().unwrap_or_default().into(),
                id: id.clone(),
                location: None,
                sku: None,
                public_network_access: None,
                enable_purge_protection: None,
                enable_soft_delete: None,
                tags: world.vault_tags.iter().cloned().collect(),
            },
            public: connection(false),
            private: connection(true),
            surroundings: Surroundings::default(),
            claims: HashMap::new(),
            now: SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(now)?),
        })
    }

    /// Makes ready for a request: its caller's token.
    pub(crate) fn admit(&mut self, ask: &Ask) -> Result<(), Failure> {
        if !self.claims.contains_key(&ask.caller) {
            self.claims.insert(ask.caller.clone(), claims(ask)?);
        }
        Ok(())
    }

    fn claims(&self, ask: &Ask) -> Result<&Claims, Failure> {
        Ok(self
            .claims
            .get(&ask.caller)
            .ok_or("a caller without a token")?)
    }

    /// What is known of a request besides its operation.
    pub(crate) fn facts<'a>(&'a self, ask: &Ask) -> Result<Facts<'a>, Failure> {
        Ok(Facts {
            now: self.now,
            local_time: None,
            vault: &self.vault,
            route: "vault.example.net",
            claims: self.claims(ask)?,
            connection: if ask.private_link {
                &self.private
            } else {
                &self.public
            },
            surroundings: &self.surroundings,
            body: Stage::Absent,
            metadata: Stage::Absent,
        })
    }
}

fn connection(private_link: bool) -> Connection {
    Connection {
        listener: "main".into(),
        address: Ipv4Addr::LOCALHOST.into(),
        protocol: "TLSv1.3",
        certificate: None,
        private_link,
        private_endpoint: None,
        subnet: None,
        ranges: Vec::new(),
    }
}

fn claims(ask: &Ask) -> Result<Claims, Failure> {
    Ok(Claims {
        object_id: ask.caller.parse()?,
        tenant_id: TenantId(Guid::ZERO),
        app_id: None,
        issuer: "issuer".into(),
        issuer_name: "issuer".into(),
        token_id: None,
        kind: if ask.is_user {
            CallerKind::User
        } else {
            CallerKind::App
        },
        groups: TokenGroups::Absent,
        evidence: Evidence::default(),
        expires_at: SystemTime::UNIX_EPOCH,
    })
}

/// The operation that a request line asks for.
pub(crate) fn operation(ask: &Ask) -> Result<Operation, Failure> {
    let method = ask.method.parse()?;
    Ok(route::parse(&method, &ask.path, ask.query.as_deref(), &[])?)
}

impl Portcullis {
    fn entitlements(&self, ask: &Ask) -> Result<Arc<Entitlements>, Failure> {
        let in_force = self.assignments.fresh(self.scene.now)?;
        let claims = self.scene.claims(ask)?;
        if self.part == Part::NewCallers {
            let principals = in_force.set.principals(claims.object_id, &claims.groups);
            let gathered = in_force.set.entitlements(&principals, 0);
            return Ok(Arc::new(gathered.ok_or("no such vault")?));
        }
        Ok(in_force.entitlements(claims, 0)?.entitlements)
    }
}

impl Engine for Portcullis {
    fn reads_requests(&self) -> bool {
        true
    }

    fn prepare(&mut self, ask: &Ask) -> Result<(), Failure> {
        self.scene.admit(ask)
    }

    fn decide(&mut self, ask: &Ask) -> Result<Answer, Failure> {
        let operation = operation(ask)?;
        let entitlements = self.entitlements(ask)?;
        answer(&decide(operation, &entitlements, &self.scene.facts(ask)?))
    }

    fn measure(&mut self, asks: &[Ask]) -> Result<Option<Duration>, Failure> {
        if self.part != Part::Decision {
            return Ok(None);
        }
        let mut ready = Vec::with_capacity(asks.len());
        for ask in asks {
            ready.push((
                operation(ask)?,
                self.entitlements(ask)?,
                self.scene.facts(ask)?,
            ));
        }
        let began = thread_time()?;
        for (operation, entitlements, facts) in ready {
            std::hint::black_box(decide(operation, &entitlements, &facts));
        }
        Ok(Some(thread_time()?.saturating_sub(began)))
    }
}

fn answer(decision: &Decision) -> Result<Answer, Failure> {
    match decision {
        Decision::Allow(_) => Ok(Answer::Allow),
        Decision::Deny(_) => Ok(Answer::Deny),
        Decision::Undecided(_) => Err("a decision that waits although nothing is to come".into()),
    }
}
