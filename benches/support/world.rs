//! A made-up tenant, loaded and in force, with requests to decide on.

use std::time::{Duration, SystemTime};

use portcullis::assignments;
use portcullis::assignments::store::{AssignmentPublisher, Assignments, Gathered, store};

use portcullis::attributes::Facts;
use portcullis::keyvault::{Operation, route};
use portcullis::principal::{CallerKind, Claims};
use portcullis::rbac::{Decision, decide};
use portcullis_tenants::{NOW, Request, Tenant};

use super::exports::{Exports, vault};
use super::facts::Blank;
use super::sizes::Failure;

/// Role data in force, as the proxy holds it.
pub(crate) struct World {
    pub(crate) tenant: Tenant,
    pub(crate) assignments: Assignments,
    _publisher: AssignmentPublisher,
}

/// A request with what the proxy knows of it when it comes to decide.
pub(crate) struct Case {
    pub(crate) request: Request,
    pub(crate) method: http::Method,
    pub(crate) operation: Operation,
    blank: Blank,
}

/// When everything happens.
pub(crate) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
}

impl World {
    pub(crate) fn of(tenant: Tenant) -> Result<Self, Failure> {
        let exports = Exports::of(&tenant)?;
        let loaded = assignments::load(&[exports.path()], &[])?;
        let (publisher, assignments) = store(vec![vault(&tenant)?], Duration::from_secs(86_400));
        publisher.publish(&loaded.data, loaded.fingerprint, now());
        Ok(Self {
            tenant,
            assignments,
            _publisher: publisher,
        })
    }

    pub(crate) fn cases(&self, count: usize) -> Result<Vec<Case>, Failure> {
        let requests = self.tenant.requests(count, 1).into_iter();
        requests.map(|request| self.case(request)).collect()
    }

    pub(crate) fn case(&self, request: Request) -> Result<Case, Failure> {
        let mut blank = Blank::new();
        blank.vault.id = self.tenant.vault.resource_id.as_str().into();
        let environment = self.tenant.vault.environment.as_str();
        blank.vault.tags = [("environment".into(), environment.into())].into();
        blank.claims.object_id = request.object_id.to_string().parse()?;
        if request.is_user() {
            blank.claims.kind = CallerKind::User;
        }
        blank.connection.private_link = request.private_link;
        let method = request.method.parse()?;
        let operation = operation(&method, &request.path_and_query)?;
        Ok(Case {
            request,
            method,
            operation,
            blank,
        })
    }

    /// What the proxy does for each request once it has an operation: the data in force, what the
    /// caller has, the decision.
    pub(crate) fn decide(&self, case: &Case, operation: Operation) -> Result<Decision, Failure> {
        let in_force = self.assignments.fresh(now())?;
        let Gathered { entitlements, .. } = in_force.entitlements(case.claims(), 0)?;
        Ok(decide(operation, &entitlements, &case.facts()))
    }
}

impl Case {
    pub(crate) fn claims(&self) -> &Claims {
        &self.blank.claims
    }

    pub(crate) fn facts(&self) -> Facts<'_> {
        self.blank.facts(now())
    }
}

/// The operation of a request line.
pub(crate) fn operation(
    method: &http::Method,
    path_and_query: &str,
) -> Result<Operation, route::RouteError> {
    let (path, query) = match path_and_query.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path_and_query, None),
    };
    route::parse(method, path, query, &[])
}
