//! Pending operations: create, look, cancel and forget.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::dev::vault::body::{self, AttributesBody, check_tags};
use crate::dev::vault::failure::Failure;
use crate::dev::vault::keys::Key;
use crate::dev::vault::objects::Answer;
use crate::dev::vault::paging::Query;
use crate::dev::vault::shelf::{Shelf, Tags, Version};
use crate::dev::vault::store::Store;

use super::issue::{self, Issued, Wanted};
use super::policy::{Policy, PolicyBody};
use super::x509::{self, Dates};
use super::{Certificate, CertificatePace};

/// What `Accept` says to get the request itself.
const PKCS10: &str = "application/pkcs10";

/// Where a pending operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Status {
    InProgress,
    Completed,
    Cancelled,
}

/// An operation that makes a version.
#[derive(Clone)]
pub(super) struct Pending {
    request_id: String,
    /// PKCS#10, DER.
    csr: Vec<u8>,
    pub(super) key: Key,
    /// The policy it was begun with.
    pub(super) policy: Arc<Policy>,
    status: Status,
    cancellation_requested: bool,
    /// What becomes of it by itself; `None` if somebody else must sign.
    ready: Option<Ready>,
    wanted: Wanted,
}

/// A certificate that is signed and waits for its time.
#[derive(Clone)]
struct Ready {
    issued: Arc<Issued>,
    polls_left: u32,
    at: i64,
}

impl Pending {
    fn new(
        key: Key,
        policy: Arc<Policy>,
        wanted: Wanted,
        pace: CertificatePace,
        now: i64,
    ) -> Result<Self, Failure> {
        let csr = x509::request(key.material(), &policy.x509_props)?;
        let ready = if policy.issuer.is_self() {
            let issued = Arc::new(Issued::self_signed(key.clone(), &policy, now)?);
            Some(Ready {
                issued,
                polls_left: pace.polls,
                at: now.saturating_add(pace.seconds()),
            })
        } else {
            None
        };
        Ok(Self {
            request_id: Uuid::new_v4().simple().to_string(),
            csr,
            key,
            policy,
            status: Status::InProgress,
            cancellation_requested: false,
            ready,
            wanted,
        })
    }

    pub(super) fn in_progress(&self) -> bool {
        self.status == Status::InProgress
    }

    /// Azure: what an issuer works on is not merged meanwhile, and what is done is done.
    pub(super) fn check_mergeable(&self) -> Result<(), Failure> {
        match self.status {
            Status::InProgress if !self.policy.issuer.is_unknown() => Err(Failure::new(
                StatusCode::FORBIDDEN,
                "Forbidden",
                format!(
                    "Merge is forbidden on pending object created with issuer : {} while it is in \
                     progess.",
                    self.policy.issuer.name
                ),
            )),
            Status::InProgress | Status::Cancelled => Ok(()),
            Status::Completed => Err(Failure::bad_parameter(
                "The pending certificate is completed and cannot be merged with.",
            )),
        }
    }

    /// Whether its time has come without anybody looking.
    pub(super) fn is_due(&self, now: i64) -> bool {
        let ready = self.ready.as_ref().is_some_and(|ready| ready.at <= now);
        ready && self.in_progress() && !self.cancellation_requested
    }

    /// What a look does: a request to cancel is granted, and the issuer comes nearer to its end.
    /// True if it is there.
    fn looked_at(&mut self) -> bool {
        if !self.in_progress() {
            return false;
        }
        if self.cancellation_requested {
            self.status = Status::Cancelled;
            return false;
        }
        self.ready.as_mut().is_some_and(|ready| {
            ready.polls_left = ready.polls_left.saturating_sub(1);
            ready.polls_left == 0
        })
    }

    fn render(&self, certificate_id: &str) -> Value {
        let mut shown = json!({
            "id": format!("{certificate_id}/pending"),
            "issuer": { "name": self.policy.issuer.name },
            "csr": STANDARD.encode(&self.csr),
            "cancellation_requested": self.cancellation_requested,
            "status": match self.status {
                Status::InProgress => "inProgress",
                Status::Completed => "completed",
                Status::Cancelled => "cancelled",
            },
            "request_id": self.request_id,
        });
        let (member, text) = match self.status {
            Status::Completed => ("target", certificate_id),
            Status::Cancelled => ("status_details", "The request was cancelled."),
            Status::InProgress if self.policy.issuer.is_unknown() => (
                "status_details",
                "Pending certificate created. Please Perform Merge to complete the request.",
            ),
            Status::InProgress => (
                "status_details",
                "Pending certificate created. Certificate request is in progress. This may take \
                 some time based on the issuer provider. Please check again later.",
            ),
        };
        if let Some(shown) = shown.as_object_mut() {
            shown.insert(member.to_owned(), text.into());
            if let Some(preserve_order) = self.wanted.preserve_order {
                shown.insert("preserveCertOrder".to_owned(), preserve_order.into());
            }
        }
        shown
    }
}

#[derive(Deserialize)]
struct CreateBody {
    policy: Option<PolicyBody>,
    tags: Option<Tags>,
    attributes: Option<AttributesBody>,
    #[serde(rename = "preserveCertOrder")]
    preserve_order: Option<bool>,
}

#[derive(Deserialize)]
struct UpdateBody {
    cancellation_requested: bool,
}

impl Store {
    /// `POST /certificates/{name}/create`: a pending operation.
    pub(super) async fn create_certificate(
        &self,
        name: &str,
        body: &[u8],
        query: &Query,
        now: i64,
    ) -> Result<Answer, Failure> {
        let body: CreateBody = body::read(body)?;
        check_tags(body.tags.as_ref())?;
        let wanted = Wanted::new(body.attributes, body.tags, body.preserve_order);
        let (policy, kept) = {
            let shelf = self.shelf::<Certificate>(now);
            self.planned(&shelf, name, body.policy, now)?
        };
        let key = match kept {
            Some(key) => key,
            None => self.new_key(&policy).await?,
        };
        let pace = self.desk.pace();
        let pending = Pending::new(key, policy, wanted, pace, now)?;
        let mut shelf = self.shelf::<Certificate>(now);
        // Another request may have been quicker.
        check_idle(&shelf, name)?;
        self.check_names_free(name, now)?;
        let id = self.begin(&mut shelf, name, &pending, now)?;
        let location = format!(
            "{id}/pending?api-version={}&request_id={}",
            query.api_version(),
            pending.request_id
        );
        let mut response = progress(StatusCode::ACCEPTED, &pending.render(&id), pace)?;
        let location = location.try_into().map_err(|_| Failure::internal())?;
        response.headers_mut().insert(LOCATION, location);
        Ok(Answer::Response(response))
    }

    /// The policy a version is to be made with, and the key if the one there is used again.
    fn planned(
        &self,
        shelf: &Shelf<Certificate>,
        name: &str,
        body: Option<PolicyBody>,
        now: i64,
    ) -> Result<(Arc<Policy>, Option<Key>), Failure> {
        check_idle(shelf, name)?;
        self.check_names_free(name, now)?;
        let latest = shelf.object(name).ok().map(|object| &object.latest.content);
        let policy = match (body, latest) {
            (Some(body), _) => Arc::new(body.into_policy(now)?),
            (None, Some(latest)) => Arc::clone(&latest.policy),
            (None, None) => {
                return Err(Failure::bad_parameter("Property policy is required."));
            }
        };
        if !policy.issuer.is_self() && !policy.issuer.is_unknown() {
            self.desk.check_issuer(&policy.issuer.name)?;
        }
        let kept = latest
            .filter(|_| policy.key_props.reuse_key)
            .filter(|latest| latest.policy.kind() == policy.kind())
            .and_then(|latest| latest.issued.as_ref())
            .map(|issued| issued.key.clone());
        Ok((policy, kept))
    }

    /// Puts a pending operation on the shelf; returns the certificate's id.
    fn begin(
        &self,
        shelf: &mut Shelf<Certificate>,
        name: &str,
        pending: &Pending,
        now: i64,
    ) -> Result<String, Failure> {
        if let Ok(object) = shelf.object_mut(name) {
            super::set_policy(object, &pending.policy);
            object.latest.content.pending = Some(pending.clone());
            return Ok(self.id::<Certificate>(&object.name));
        }
        // Azure: there already, disabled, with the dates it will have.
        let dates = Dates::new(now, pending.policy.x509_props.validity_months)?;
        let attributes = issue::attributes(false, dates, now)?;
        let content = Certificate {
            policy: Arc::clone(&pending.policy),
            issued: None,
            pending: Some(pending.clone()),
            preserve_order: None,
        };
        let version = Version::new(attributes, pending.wanted.tags.clone(), content);
        let object = shelf.add(name, version)?;
        Ok(self.id::<Certificate>(&object.name))
    }

    /// `GET /certificates/{name}/pending`.
    pub(super) fn pending(
        &self,
        name: &str,
        query: &Query,
        accept: Option<&str>,
        now: i64,
    ) -> Result<Answer, Failure> {
        let mut shelf = self.shelf::<Certificate>(now);
        let finished = pending_mut(&mut shelf, name, query)?.looked_at();
        if finished {
            self.finish(&mut shelf, name, now)?;
        }
        let id = self.id::<Certificate>(&shelf.object(name)?.name);
        let pending = pending_mut(&mut shelf, name, query)?;
        if accept.is_some_and(|accept| accept.eq_ignore_ascii_case(PKCS10)) {
            let mut response = Response::new(STANDARD.encode(&pending.csr).into());
            let kind = http::HeaderValue::from_static(PKCS10);
            response.headers_mut().insert(CONTENT_TYPE, kind);
            return Ok(Answer::Response(response));
        }
        let shown = pending.render(&id);
        if pending.in_progress() {
            let response = progress(StatusCode::OK, &shown, self.desk.pace())?;
            return Ok(Answer::Response(response));
        }
        Ok(Answer::Json(shown))
    }

    /// `PATCH /certificates/{name}/pending`: only asks.
    pub(super) fn update_pending(
        &self,
        name: &str,
        body: &[u8],
        query: &Query,
        now: i64,
    ) -> Result<Answer, Failure> {
        let body: UpdateBody = body::read(body)?;
        let mut shelf = self.shelf::<Certificate>(now);
        let pending = pending_mut(&mut shelf, name, query)?;
        if !pending.in_progress() {
            return Err(Failure::bad_parameter(
                "The pending certificate's status is not inProgress.",
            ));
        }
        pending.cancellation_requested = body.cancellation_requested;
        let pending = pending.clone();
        let id = self.id::<Certificate>(&shelf.object(name)?.name);
        Ok(Answer::Json(pending.render(&id)))
    }

    /// `DELETE /certificates/{name}/pending`.
    pub(super) fn delete_pending(
        &self,
        name: &str,
        query: &Query,
        now: i64,
    ) -> Result<Answer, Failure> {
        let mut shelf = self.shelf::<Certificate>(now);
        let pending = pending_mut(&mut shelf, name, query)?.clone();
        let object = shelf.object_mut(name)?;
        object.latest.content.pending = None;
        Ok(Answer::Json(
            pending.render(&self.id::<Certificate>(&object.name)),
        ))
    }

    /// Makes the version of an operation that is ready.
    pub(super) fn finish(
        &self,
        shelf: &mut Shelf<Certificate>,
        name: &str,
        now: i64,
    ) -> Result<(), Failure> {
        let pending = shelf.object(name)?.latest.content.pending.as_ref();
        let Some((pending, ready)) = pending.and_then(|p| Some((p, p.ready.as_ref()?))) else {
            return Ok(());
        };
        let issued = Arc::clone(&ready.issued);
        let wanted = pending.wanted.clone();
        let policy = Arc::clone(&pending.policy);
        self.complete(shelf, name, issued, (policy, wanted), now)
    }

    /// Publishes what an operation was for and notes that it is done.
    pub(super) fn complete(
        &self,
        shelf: &mut Shelf<Certificate>,
        name: &str,
        issued: Arc<Issued>,
        how: (Arc<Policy>, Wanted),
        now: i64,
    ) -> Result<(), Failure> {
        self.publish(shelf, name, issued, how, now)?;
        let latest = &mut shelf.object_mut(name)?.latest.content;
        if let Some(pending) = &mut latest.pending {
            pending.status = Status::Completed;
        }
        Ok(())
    }
}

/// Azure: nothing new is begun while something is in progress.
pub(super) fn check_idle(shelf: &Shelf<Certificate>, name: &str) -> Result<(), Failure> {
    shelf.check_free(name)?;
    let pending = shelf
        .object(name)
        .ok()
        .and_then(|object| object.latest.content.pending.as_ref());
    if pending.is_some_and(Pending::in_progress) {
        return Err(Failure::new(
            StatusCode::CONFLICT,
            "Forbidden",
            "A new key vault certificate can not be created or imported while a pending key vault \
             certificate's status is inProgress.",
        ));
    }
    Ok(())
}

/// The operation of a certificate. Azure: `request_id` is a filter.
pub(super) fn pending_mut<'a>(
    shelf: &'a mut Shelf<Certificate>,
    name: &str,
    query: &Query,
) -> Result<&'a mut Pending, Failure> {
    let pending = shelf
        .object_mut(name)
        .ok()
        .and_then(|object| object.latest.content.pending.as_mut());
    let wanted = |pending: &&mut Pending| {
        let filter = query.request_id.as_ref();
        filter.is_none_or(|filter| pending.request_id == *filter)
    };
    pending.filter(wanted).ok_or_else(|| {
        Failure::new(
            StatusCode::NOT_FOUND,
            "PendingCertificateNotFound",
            format!("Pending certificate not found: {name}"),
        )
    })
}

/// An answer that says when to ask again.
fn progress(
    status: StatusCode,
    shown: &Value,
    pace: CertificatePace,
) -> Result<Response<Bytes>, Failure> {
    Response::builder()
        .status(status)
        .header(RETRY_AFTER, pace.retry_after.as_secs())
        .body(shown.to_string().into())
        .map_err(|_| Failure::internal())
}
