//! A certificate that is replaced while connections go on.
//!
//! Files are read again when they change. A certificate that the proxy issues itself is made anew
//! when two thirds of its life are over, or when the CA is another one. In either case what is no
//! good leaves the last good one in place, and is tried again.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use rustls_pki_types::CertificateDer;

use super::lookout::{self, Lookout, RenewalEvent, RenewalHandle};
use super::server::chain_file;
use super::{ServerCertificate, TlsError};
use crate::ca::{self, Ca, CaFiles, Host, LEAF_LIFETIME};
use crate::clock::Clock;
use crate::config::CertificateSource;
use crate::snapshot::{self, Publisher, Snapshot};

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
    pub fn spawn(self, on_event: impl Fn(RenewalEvent) + Send + 'static) -> RenewalHandle {
        lookout::keep(self, on_event)
    }
}

impl Lookout for Renewal {
    fn files(&self) -> Vec<PathBuf> {
        self.source.files()
    }

    /// Takes another certificate into use if there is reason to. Blocks.
    fn look(&mut self) -> RenewalEvent {
        let now = self.clock.now();
        let present = self.publisher.load();
        match self.source.next(&present, now) {
            Ok(None) => RenewalEvent::Unchanged,
            Ok(Some(certificate)) => {
                let not_after = certificate.not_after();
                let issuer_not_after = certificate.issuer_not_after();
                self.publisher.publish(certificate.after(&present));
                RenewalEvent::Renewed {
                    not_after,
                    issuer_not_after,
                }
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
    let certificate = ServerCertificate::issued(&leaf, &issuing);
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
    use std::path::Path;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::time::Duration;

    use rustls_pki_types::pem::PemObject as _;

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

    /// A clock that panics as often as it was told to, and says nothing of it.
    #[derive(Debug)]
    struct Broken(AtomicU32);

    impl Clock for Broken {
        fn now(&self) -> SystemTime {
            let left = self.0.load(Ordering::SeqCst);
            if left > 0 {
                self.0.store(left - 1, Ordering::SeqCst);
                std::panic::resume_unwind(Box::new("the clock is broken"));
            }
            SystemClock.now()
        }
    }

    fn files(directory: &Path) -> CertificateSource {
        let (certificate, private_key) = (directory.join("tls.crt"), directory.join("tls.key"));
        CertificateSource::Files {
            certificate,
            private_key,
        }
    }

    /// Writes another certificate, of another CA.
    fn write(directory: &Path) {
        let (at, hosts) = (directory.join("ca"), [Host::Name("kv.example".into())]);
        let now = SystemClock.now();
        Ca::init(&at, &hosts, 30 * DAY, now, Existing::Replace).unwrap();
        let leaf = Ca::open(&at).unwrap().issue(&hosts, DAY, now).unwrap();
        let (chain, key) = (directory.join("tls.crt"), directory.join("tls.key"));
        leaf.write(&chain, &key).unwrap();
    }

    #[tokio::test]
    async fn a_look_that_panics_is_told_and_is_not_the_last() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path());
        let clock = Arc::new(Broken(AtomicU32::new(0)));
        let broken = Arc::clone(&clock);
        let renewal = Renewal::begin(&files(directory.path()), &[], clock).unwrap();
        broken.0.store(2, Ordering::SeqCst);
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let _handle = renewal.spawn(move |event| tell.send(event).unwrap());
        let mut panics = 0;
        loop {
            let event = tokio::time::timeout(Duration::from_secs(20), told.recv()).await;
            match event.unwrap().unwrap() {
                RenewalEvent::Panicked => panics += 1,
                RenewalEvent::Renewed { .. } => break,
                RenewalEvent::Failed(_) | RenewalEvent::Unchanged => {}
            }
            write(directory.path());
        }
        assert_eq!(panics, 2);
    }

    #[test]
    fn what_was_shown_before_is_ours_for_some_time() {
        let directory = tempfile::tempdir().unwrap();
        write(directory.path());
        let source = files(directory.path());
        let mut renewal = Renewal::begin(&source, &[], Arc::new(SystemClock)).unwrap();
        let mut earlier = Vec::new();
        let chain = || CertificateDer::pem_file_iter(directory.path().join("tls.crt"));
        let chain = || chain().unwrap().map(Result::unwrap).collect::<Vec<_>>();
        for _ in 0..10 {
            earlier.push(chain());
            write(directory.path());
            let event = renewal.look();
            assert!(matches!(event, RenewalEvent::Renewed { .. }), "{event:?}");
        }
        let certificate = renewal.certificate().load();
        assert!(certificate.is_ours(&chain()));
        let known = earlier.iter().map(|chain| certificate.is_ours(chain));
        let known: Vec<bool> = known.collect();
        assert_eq!(known.iter().filter(|known| **known).count(), 8, "{known:?}");
        // The last ones, that is.
        assert!(known.ends_with(&[true; 8]), "{known:?}");
    }
}
