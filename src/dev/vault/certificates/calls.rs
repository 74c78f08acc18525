//! Which request is which operation.

use crate::dev::vault::failure::Failure;
use crate::dev::vault::front::Call;
use crate::dev::vault::objects::Answer;
use crate::dev::vault::route::Target;
use crate::dev::vault::store::Store;

impl Store {
    /// Does what a request wants that certificates do in a way of their own; `None` for what they
    /// do as everything else does, and for what nothing does.
    pub(in crate::dev::vault) async fn certificate_call(
        &self,
        call: &Call,
    ) -> Option<Result<Answer, Failure>> {
        let Call {
            query, body, now, ..
        } = call;
        let now = *now;
        Some(match (call.method.as_str(), &call.target) {
            ("GET", Target::All) => Ok(self.list_certificates(query, now)),
            ("GET", Target::AllDeleted) => Ok(self.list_deleted_certificates(query, now)),
            ("POST", Target::Restore) => self.restore_certificate(body, now),
            ("GET", Target::Object { name, version }) => {
                self.certificate(name, version.as_deref(), now)
            }
            ("PATCH", Target::Object { name, version }) => {
                self.update_certificate(name, version.as_deref(), body, now)
            }
            (
                "DELETE",
                Target::Object {
                    name,
                    version: None,
                },
            ) => self.delete_certificate(name, now),
            ("DELETE", Target::Deleted { name }) => self.purge_certificate(name, now),
            ("POST", Target::DeletedVerb { name, verb }) if verb == "recover" => {
                self.recover_certificate(name, now)
            }
            (
                method,
                Target::Verb {
                    name,
                    version: None,
                    verb,
                },
            ) => return self.certificate_verb(call, method, name, verb).await,
            (method, Target::Contacts) => return self.contacts_call(method, body),
            ("GET", Target::Issuers) => Ok(self.list_issuers(query)),
            (method, Target::Issuer { name }) => return self.issuer_call(call, method, name),
            _ => return None,
        })
    }

    async fn certificate_verb(
        &self,
        call: &Call,
        method: &str,
        name: &str,
        verb: &str,
    ) -> Option<Result<Answer, Failure>> {
        let Call {
            query, body, now, ..
        } = call;
        let now = *now;
        Some(match (method, verb) {
            ("POST", "create") => self.create_certificate(name, body, query, now).await,
            ("POST", "import") => self.import_certificate(name, body, now),
            ("GET", "policy") => self.policy(name, now),
            ("PATCH", "policy") => self.update_policy(name, body, now),
            ("GET", "pending") => self.pending(name, query, call.accept.as_deref(), now),
            ("PATCH", "pending") => self.update_pending(name, body, query, now),
            ("DELETE", "pending") => self.delete_pending(name, query, now),
            ("POST", "pending/merge") => self.merge_certificate(name, body, query, now),
            _ => return None,
        })
    }

    fn contacts_call(&self, method: &str, body: &[u8]) -> Option<Result<Answer, Failure>> {
        Some(match method {
            "GET" => self.contacts(),
            "PUT" => self.set_contacts(body),
            "DELETE" => self.delete_contacts(),
            _ => return None,
        })
    }

    fn issuer_call(
        &self,
        call: &Call,
        method: &str,
        name: &str,
    ) -> Option<Result<Answer, Failure>> {
        let Call { body, now, .. } = call;
        Some(match method {
            "GET" => self.issuer(name),
            "PUT" => self.set_issuer(name, body, *now),
            "PATCH" => self.update_issuer(name, body, *now),
            "DELETE" => self.delete_issuer(name),
            _ => return None,
        })
    }
}
