//! Portcullis is the gate in front of the vault: an authorizing reverse proxy for Azure Key Vault.
//!
//! A client keeps using its Azure SDK. Portcullis validates the caller's token, maps the REST call
//! to its Azure RBAC data actions, decides on a cached set of role assignments, writes the
//! decision down, and only then forwards. In front of a vault that decides too it can only narrow.
//!
//! # The way through
//!
//! One straight function, [`proxy::pipeline`], answers a request. Each step turns a weaker type
//! into a stronger one, and only the last can be forwarded.
//!
//! ```text
//! accept -> TLS -> select -> authenticate -> map -> authorize -> record -> forward -> relay -> result
//!           Peer   vault     Caller          Operation  Permit             Response
//! ```
//!
//! | type | made only by | means |
//! |---|---|---|
//! | [`principal::Caller`] | [`authn`] | signature, issuer, audience, tenant and time were checked |
//! | [`keyvault::Operation`] | [`keyvault::route`] | a documented operation with parsed names |
//! | [`rbac::Permit`] | [`rbac::decide()`] | this operation may be done, because of these assignments |
//! | [`proxy::reject::Rejection`] | the step that failed | we answer instead of the vault |
//! | a decision record | [`audit`] | exactly one per request, also when the client went away |
//!
//! # What is promised
//!
//! 1. What is authorized is what is sent: the upstream request line is rendered from the
//!    [`keyvault::Operation`], never from the caller's bytes.
//! 2. Nothing is forwarded without a [`rbac::Permit`], and only [`rbac::decide()`] makes one.
//! 3. Fail closed: what is unknown, unreadable or too old never allows. "Could not decide" is a 5xx
//!    and is never remembered as a denial.
//! 4. No secret without a record: the decision is handed to the audit sink before the request is
//!    forwarded.
//! 5. No token, secret value or body in any log, metric, error text, panic or trace.
//! 6. No network call for authorization on the request path, unless a condition depends on an
//!    object's metadata: then the vault is asked, as the caller, and never for a value.
//! 7. Every refusal explains itself: a closed [`reason::Reason`], the nearest miss, the decision id.
//!
//! # Who knows whom
//!
//! ```text
//! main -> cli -> hardening -> config
//! main -> cli -> app -> { proxy, authn, assignments, admin, audit, metrics, telemetry, config }
//! app, proxy::listen -> tls -> ca; cli -> ca
//! proxy::pipeline -> { authn, assignments, audit, metrics } -> core
//! core: rbac -> attributes -> abac -> keyvault, principal, reason
//! ```
//!
//! The core is pure: time, attributes and role data are arguments. Adapters do not know each
//! other; [`app`] introduces them. `tests/architecture.rs` keeps these walls.
//!
//! # Lexicon
//!
//! | word | meaning |
//! |---|---|
//! | caller | the authenticated principal of this request |
//! | principal | whoever an assignment names: a user, group or service principal |
//! | data action | what Azure RBAC grants on the data plane, such as `…/secrets/getSecret/action` |
//! | operation | one row of Key Vault's REST reference, under its name in Azure's audit log |
//! | scope | a place in Azure's resource tree; an assignment applies there and below |
//! | role assignment | a principal holds a role definition at a scope |
//! | deny assignment | takes data actions away at a scope; wins over every role assignment |
//! | entitlements | what one caller has in one vault |
//! | revision | one load of role data, by its SHA-256 |
//! | challenge | the 401 that tells an SDK where to get a token |
//! | authority | a host with a port |
//!
//! In XACML's words the proxy is the policy enforcement point, [`rbac::decide()`] the policy decision
//! point, [`assignments`] the policy information point, and Azure the policy administration point.

pub mod abac;
pub mod admin;
pub mod app;
pub mod assignments;
pub mod attributes;
pub mod audit;
pub mod authn;
pub mod ca;
pub mod cli;
pub mod clock;
pub mod config;
#[cfg(feature = "dev")]
pub mod dev;
pub mod hardening;
mod json;
pub mod keyvault;
pub mod metrics;
pub mod notices;
pub mod principal;
pub mod proxy;
pub mod rbac;
pub mod reason;
pub mod secret;
pub mod snapshot;
pub mod telemetry;
pub mod tls;
pub mod traceparent;
