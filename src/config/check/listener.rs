//! Where clients connect.

use std::path::PathBuf;

use super::super::raw::{RawClientCertificates, RawListener};
use super::super::{CertificateSource, ClientCertificates, Listener, form};
use super::Check;

impl Check<'_> {
    pub(super) fn listener(&mut self, at: &str, raw: RawListener) -> Option<Listener> {
        let name = self.read(at, "name", raw.name.as_deref(), form::name);
        let address = self.read(at, "address", raw.address.as_deref(), form::address);
        let files = (raw.certificate_file, raw.private_key_file);
        let certificate = self.certificate(at, files, raw.ca_directory);
        let mode = format!("{at}/client_certificates");
        if self.document.is_written(&mode)
            && !self.document.is_written(&format!("{at}/client_ca_file"))
        {
            let hint = "expected it only beside `client_ca_file`";
            self.report(&mode, "has no effect without CAs", hint);
        }
        let ca_file = self.file(at, "client_ca_file", raw.client_ca_file);
        let client_certificates = ca_file.map(|ca_file| ClientCertificates {
            ca_file,
            required: raw.client_certificates == RawClientCertificates::Required,
        });
        let endpoint = raw.private_endpoint.as_deref();
        let private_endpoint = self.read(at, "private_endpoint", endpoint, form::private_endpoint);
        let link = format!("{at}/private_link");
        if endpoint.is_some() && !raw.private_link && self.document.is_written(&link) {
            let hint = "expected `true`, or no such key";
            self.report(&link, "contradicts `private_endpoint`", hint);
        }
        Some(Listener {
            name: name?,
            address: address?,
            certificate: certificate?,
            client_certificates,
            private_link: raw.private_link || private_endpoint.is_some(),
            private_endpoint,
        })
    }

    /// Exactly one place to have a certificate from: a file and its key, or a CA.
    fn certificate(
        &mut self,
        at: &str,
        (certificate, private_key): (Option<PathBuf>, Option<PathBuf>),
        ca: Option<PathBuf>,
    ) -> Option<CertificateSource> {
        const EXPECTED: &str =
            "expected either `certificate_file` and `private_key_file`, or `ca_directory`";
        let written = |key| self.document.is_written(&format!("{at}/{key}"));
        let keys = ["certificate_file", "private_key_file"];
        let [has_certificate, has_key] = keys.map(written);
        if written("ca_directory") {
            if has_certificate || has_key {
                let what = "is a second source of certificates";
                self.report(&format!("{at}/ca_directory"), what, EXPECTED);
            }
            let path = self.path(&format!("{at}/ca_directory"), &ca?, form::directory);
            return path.map(CertificateSource::Ca);
        }
        if !has_certificate && !has_key {
            self.report(at, "has no source of certificates", EXPECTED);
        } else if !has_certificate || !has_key {
            let [first, second] = keys;
            let key = if has_certificate { second } else { first };
            self.report(&format!("{at}/{key}"), "missing", EXPECTED);
        }
        let certificate = self.file(at, "certificate_file", certificate);
        let private_key = self.file(at, "private_key_file", private_key);
        Some(CertificateSource::Files {
            certificate: certificate?,
            private_key: private_key?,
        })
    }
}
