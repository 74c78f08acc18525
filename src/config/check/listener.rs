//! Where clients connect.

use std::path::{Path, PathBuf};

use super::super::raw::{RawClientCertificates, RawListener};
use super::super::{Address, CertificateSource, ClientCertificates, Listener, UnixSocket, form};
use super::Check;

impl Check<'_> {
    pub(super) fn listener(&mut self, at: &str, raw: RawListener) -> Option<Listener> {
        let name = self.read(at, "name", raw.name.as_deref(), form::name);
        let address = self.place(at, &raw);
        let proxies = &raw.proxy_protocol_from;
        let proxy_protocol_from = self.list(at, "proxy_protocol_from", proxies, form::believed);
        let proxies = &raw.forwarded_headers_from;
        let forwarded_headers_from =
            self.list(at, "forwarded_headers_from", proxies, form::believed);
        let client_certificates = self.client_certificates(at, &raw);
        let files = (raw.certificate_file, raw.private_key_file);
        let certificate = self.certificate(at, files, raw.ca_directory);
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
            proxy_protocol_from: proxy_protocol_from.into(),
            forwarded_headers_from: forwarded_headers_from.into(),
            private_link: raw.private_link || private_endpoint.is_some(),
            private_endpoint,
        })
    }

    /// Where the listener is, with what belongs to such a place only.
    fn place(&mut self, at: &str, raw: &RawListener) -> Option<Address> {
        const OF_SOCKETS: [&str; 3] = ["socket_mode", "peer_uids", "peer_gids"];
        const OF_ADDRESSES: [&str; 2] = ["proxy_protocol_from", "forwarded_headers_from"];
        let text = raw.address.as_deref();
        let path = text.and_then(|text| text.strip_prefix("unix:"));
        let strangers = match (text, path) {
            (None, _) => &[][..],
            (Some(_), Some(_)) => &OF_ADDRESSES,
            (Some(_), None) => &OF_SOCKETS,
        };
        for key in strangers {
            let pointer = format!("{at}/{key}");
            if self.document.is_written(&pointer) {
                let (what, hint) = match path {
                    Some(_) => ("has no effect on a Unix socket", "an IP address"),
                    None => ("has no effect on an IP address", "a Unix socket"),
                };
                let hint = format!("expected it only where `address` is {hint}");
                self.report(&pointer, what, hint);
            }
        }
        let Some(path) = path else {
            let address = self.read(at, "address", text, form::address_or_socket);
            return address.map(Address::Ip);
        };
        let mode = Some(raw.socket_mode.as_str());
        let mode = self.read(at, "socket_mode", mode, form::socket_mode);
        let path = self.path(&format!("{at}/address"), Path::new(path), form::socket);
        Some(Address::Unix(UnixSocket {
            path: path?,
            mode: mode?,
            uids: raw.peer_uids.as_slice().into(),
            gids: raw.peer_gids.as_slice().into(),
        }))
    }

    fn client_certificates(&mut self, at: &str, raw: &RawListener) -> Option<ClientCertificates> {
        let names = self.list(at, "client_names", &raw.client_names, str::parse);
        let ca_file = self.file(at, "client_ca_file", raw.client_ca_file.clone());
        let crl_file = self.file(at, "client_crl_file", raw.client_crl_file.clone());
        if !self.document.is_written(&format!("{at}/client_ca_file")) {
            for key in ["client_certificates", "client_names", "client_crl_file"] {
                let pointer = format!("{at}/{key}");
                if self.document.is_written(&pointer) {
                    let hint = "expected it only beside `client_ca_file`";
                    self.report(&pointer, "has no effect without CAs", hint);
                }
            }
        }
        Some(ClientCertificates {
            ca_file: ca_file?,
            crl_file,
            names: names.into(),
            required: raw.client_certificates == RawClientCertificates::Required,
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
