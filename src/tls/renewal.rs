//! A certificate that is replaced while connections go on.
//!
//! Files are read again when they change. A certificate that the proxy issues itself is made anew
//! when two thirds of its life are over, or when the CA is another one. In either case what is no
//! good leaves the last good one in place, and is tried again.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls_pki_types::CertificateDer;
use tokio::task::{JoinHandle, spawn_blocking};

use super::server::chain_file;
use super::{ServerCertificate, TlsError};
use crate::ca::{self, Ca, CaFiles, Host, LEAF_LIFETIME};
use crate::clock::Clock;
use crate::config::CertificateSource;
use crate::notices::Notices;
use crate::snapshot::{self, Publisher, Snapshot};

/// How often is looked when nothing is notified. The wall clock counts and not the time slept, which
/// stands still while a machine does.
const POLL_INTERVAL: Duration = Duration::from_secs(30);

/// What became of a look.
#[derive(Debug)]
pub enum RenewalEvent {
    /// The certificate stays, though another one was to be had.
    Failed(TlsError),
    /// Another certificate is in use.
    Renewed {
        /// When it ends, in seconds of Unix time.
        not_after: i64,
    },
    /// There was no reason for another one.
    Unchanged,
}

/// The certificate of one listener, and where the next one comes from.
#[derive(Debug)]
pub struct Renewal {
    source: Source,
    publisher: Publisher<ServerCertificate>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug)]
enum Source {
    Ca {
        directory: PathBuf,
        hosts: Vec<Host>,
        /// The CA that issued the certificate in use.
        issuing: CertificateDer<'static>,
        renew_at: SystemTime,
    },
    Files {
        certificate: PathBuf,
        private_key: PathBuf,
    },
}

/// Renewing, until it is dropped.
#[derive(Debug)]
pub struct RenewalHandle(JoinHandle<()>);

impl Drop for RenewalHandle {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Renewal {
    /// Reads or issues the first certificate; if it is issued, for `hosts`. Blocks.
    ///
    /// # Errors
    /// [`TlsError`].
    pub fn begin(
        source: &CertificateSource,
        hosts: &[Host],
        clock: Arc<dyn Clock>,
    ) -> Result<Self, TlsError> {
        let (source, certificate) = match source {
            CertificateSource::Ca(directory) => {
                issue(directory.clone(), hosts.to_vec(), clock.now())?
            }
            CertificateSource::Files {
                certificate,
                private_key,
            } => {
                let source = Source::Files {
                    certificate: certificate.clone(),
                    private_key: private_key.clone(),
                };
                (source, ServerCertificate::read(certificate, private_key)?)
            }
        };
        let (publisher, _) = snapshot::channel(certificate);
        Ok(Self {
            source,
            publisher,
            clock,
        })
    }

    /// The certificate, now and later.
    pub fn certificate(&self) -> Snapshot<ServerCertificate> {
        self.publisher.subscribe()
    }

    /// Looks whenever files change and every half a minute, and tells `on_event` what comes of it.
    /// Must be called in a tokio runtime.
    pub fn spawn(mut self, on_event: impl Fn(RenewalEvent) + Send + 'static) -> RenewalHandle {
        let mut notices = Notices::new(self.source.files(), |_| false);
        RenewalHandle(tokio::spawn(async move {
            loop {
                // Before looking: what changes from here on is seen again.
                notices.arm();
                let looked = spawn_blocking(move || {
                    let event = self.look();
                    (self, event)
                });
                let Ok((back, event)) = looked.await else {
                    tracing::error!("the certificate is not renewed any more");
                    return;
                };
                self = back;
                on_event(event);
                notices.wait(POLL_INTERVAL).await;
            }
        }))
    }

    /// Takes another certificate into use if there is reason to. Blocks.
    fn look(&mut self) -> RenewalEvent {
        let now = self.clock.now();
        match self.source.next(&self.publisher.load(), now) {
            Ok(None) => RenewalEvent::Unchanged,
            Ok(Some(certificate)) => {
                let not_after = certificate.not_after();
                self.publisher.publish(certificate);
                RenewalEvent::Renewed { not_after }
            }
            Err(error) => RenewalEvent::Failed(error),
        }
    }
}

impl Source {
    /// The files whose change may mean another certificate.
    fn files(&self) -> Vec<PathBuf> {
        match self {
            Self::Ca { directory, .. } => {
                let files = CaFiles::of(directory);
                vec![files.issuing, files.key]
            }
            Self::Files {
                certificate,
                private_key,
            } => vec![certificate.clone(), private_key.clone()],
        }
    }

    /// Another certificate than `present`, if it is time for one.
    fn next(
        &mut self,
        present: &ServerCertificate,
        now: SystemTime,
    ) -> Result<Option<ServerCertificate>, TlsError> {
        match self {
            Self::Ca {
                directory,
                hosts,
                issuing,
                renew_at,
            } => {
                let good = now < *renew_at && present.is_valid_at(now);
                if good && ca::is_still(directory, issuing) {
                    return Ok(None);
                }
                let (source, certificate) = issue(directory.clone(), hosts.clone(), now)?;
                *self = source;
                Ok(Some(certificate))
            }
            Self::Files {
                certificate,
                private_key,
            } => {
                let read = ServerCertificate::read(certificate, private_key)?;
                if read.is_same(present) {
                    Ok(None)
                } else if read.is_valid_at(now) {
                    Ok(Some(read))
                } else {
                    Err(TlsError::Dated(chain_file(certificate)))
                }
            }
        }
    }
}

/// Issues a certificate, and says when the next one is due.
fn issue(
    directory: PathBuf,
    hosts: Vec<Host>,
    now: SystemTime,
) -> Result<(Source, ServerCertificate), TlsError> {
    let ca = Ca::open(&directory)?;
    let leaf = ca.issue(&hosts, LEAF_LIFETIME, now)?;
    let issuing = ca.issuing_certificate().clone();
    let certificate = ServerCertificate::issued(&leaf, issuing.clone());
    let certificate = certificate.map_err(|cause| TlsError::Refused {
        file: chain_file(&CaFiles::of(&directory).issuing),
        cause,
    })?;
    let life = leaf.not_after().duration_since(now).unwrap_or_default();
    let source = Source::Ca {
        issuing,
        renew_at: now + life / 3 * 2,
        directory,
        hosts,
    };
    Ok((source, certificate))
}

#[cfg(test)]
mod tests {
    use crate::ca::Existing;
    use crate::clock::SystemClock;

    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    #[test]
    fn a_certificate_is_due_when_two_thirds_of_its_life_are_over() {
        let directory = tempfile::tempdir().unwrap();
        let (at, hosts) = (directory.path(), [Host::Name("kv.example".into())]);
        let now = SystemClock.now();
        Ca::init(at, &hosts, 30 * DAY, now, Existing::Keep).unwrap();
        let (mut source, first) = issue(at.to_owned(), hosts.into(), now).unwrap();
        for early in [Duration::ZERO, DAY, 4 * DAY] {
            assert!(
                source.next(&first, now + early).unwrap().is_none(),
                "{early:?}"
            );
        }
        let second = source.next(&first, now + 5 * DAY).unwrap().unwrap();
        assert!(!second.is_same(&first) && second.not_after() > first.not_after());
        assert!(source.next(&second, now + 9 * DAY).unwrap().is_none());
        // A clock that was set back makes it one of the future.
        assert!(source.next(&second, now).unwrap().is_some());
        // Near the end of the CA lives become shorter, and then there are none.
        let last = source.next(&second, now + 29 * DAY).unwrap().unwrap();
        let end = now + 30 * DAY;
        let end = end
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        assert_eq!(u64::try_from(last.not_after()).unwrap(), end);
        let ended = source.next(&last, now + 31 * DAY).unwrap_err();
        assert!(ended.to_string().contains("has ended"), "{ended}");
    }
}
