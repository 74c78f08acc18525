//! The files and ports that a configuration leads to.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use http::Uri;

use crate::config::{
    Address, AuditSink, CertificateSource, Config, Connect, Issuer, KeySource, Listener, Vault,
};

/// What the C library and rustls read: how names are resolved, with the plug-ins that resolve them,
/// the CAs of the system; and how much of the machine is ours.
const OF_THE_SYSTEM: [&str; 13] = [
    "/etc",
    "/lib",
    "/lib64",
    "/nix/store",
    "/proc/self/cgroup",
    "/proc/self/mountinfo",
    "/run/NetworkManager",
    "/run/resolvconf",
    "/run/systemd/resolve",
    "/sys/devices/system/cpu",
    "/sys/fs/cgroup",
    "/usr",
    "/var/lib/ca-certificates",
];

/// Files and directories of the system's that are links to elsewhere on some.
const LINKED_BY_THE_SYSTEM: [&str; 6] = [
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/resolv.conf",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs",
];

/// The variables by which the system's CAs are moved; the second may name several directories.
const OF_CAS: [&str; 2] = ["SSL_CERT_FILE", "SSL_CERT_DIR"];

const HTTPS: u16 = 443;
const DNS: u16 = 53;

/// What the process needs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    /// Files and directories, with all that is in them.
    pub(super) read: BTreeSet<PathBuf>,
    /// Directories in which files are made, renamed and removed, and files that are written.
    pub(super) write: BTreeSet<PathBuf>,
    /// Directories in which Unix sockets are made and removed.
    pub(super) sockets: BTreeSet<PathBuf>,
    /// Ports; 0 is one that the system chooses.
    pub(super) bind: BTreeSet<u16>,
    pub(super) connect: BTreeSet<u16>,
}

impl Places {
    pub(super) fn of(config: &Config, environment: &[(String, String)]) -> Self {
        let mut places = Self::default();
        places.read.extend(OF_THE_SYSTEM.map(PathBuf::from));
        for path in LINKED_BY_THE_SYSTEM {
            places.named(path.as_ref());
        }
        for (name, value) in environment {
            if OF_CAS.contains(&&**name) {
                value
                    .split(':')
                    .for_each(|path| places.named(path.as_ref()));
            }
        }
        config.listeners.iter().for_each(|l| places.listener(l));
        places.bind.insert(config.admin.address.port());
        config.vaults.iter().for_each(|vault| places.vault(vault));
        config.issuers.iter().for_each(|i| places.issuer(i));
        // What does not fit a datagram is asked for again over TCP.
        places.connect.insert(DNS);
        let assignments = &config.assignments;
        let role_data = assignments.paths.iter().chain(&assignments.overlay_files);
        role_data.for_each(|path| places.named(path));
        if let AuditSink::File { path, .. } = &config.audit {
            places.written(path);
        }
        places
    }

    fn listener(&mut self, listener: &Listener) {
        match &listener.certificate {
            CertificateSource::Files {
                certificate,
                private_key,
            } => {
                self.named(certificate);
                self.named(private_key);
            }
            CertificateSource::Ca(directory) => self.named(directory),
        }
        if let Some(clients) = &listener.client_certificates {
            self.named(&clients.ca_file);
            clients.crl_file.iter().for_each(|path| self.named(path));
        }
        match &listener.address {
            Address::Ip(address) => {
                self.bind.insert(address.port());
            }
            Address::Unix(socket) => self.sockets.extend(directory_of(&socket.path)),
        }
    }

    fn vault(&mut self, vault: &Vault) {
        vault.ca_file.iter().for_each(|path| self.named(path));
        match &vault.connect {
            Connect::Address(address) => {
                self.connect.insert(address.port());
            }
            Connect::Dns(servers) => {
                self.connect.insert(vault.authority.port());
                self.connect.extend(servers.iter().map(SocketAddr::port));
            }
        }
    }

    fn issuer(&mut self, issuer: &Issuer) {
        issuer.ca_file.iter().for_each(|path| self.named(path));
        match &issuer.keys {
            KeySource::Discovery(url) | KeySource::JwksUrl(url) => {
                let port = url.parse::<Uri>().ok().and_then(|url| url.port_u16());
                self.connect.insert(port.unwrap_or(HTTPS));
            }
            KeySource::JwksFile(path) => self.named(path),
        }
    }

    /// A file or directory that is read, and may be replaced by another of the same name: where it
    /// stands, and where it is if that is a link to it.
    fn named(&mut self, path: &Path) {
        self.read.insert(path.to_owned());
        let real = fs::canonicalize(path).ok();
        for path in [Some(path), real.as_deref()].into_iter().flatten() {
            self.read.extend(directory_of(path));
        }
        self.linked_from(path);
    }

    /// Where the files of a directory are that are links.
    fn linked_from(&mut self, directory: &Path) {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        for entry in entries {
            if entry.file_type().is_ok_and(|kind| kind.is_symlink())
                && let Ok(real) = fs::canonicalize(entry.path())
            {
                self.read.extend(directory_of(&real));
            }
        }
    }

    /// The file of decision records, beside which it is put when it is full. A device or a pipe is
    /// never put aside.
    fn written(&mut self, path: &Path) {
        let real = fs::canonicalize(path).ok();
        if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
            self.write.extend(real);
            return;
        }
        for path in [Some(path), real.as_deref()].into_iter().flatten() {
            self.write.extend(directory_of(path));
        }
    }
}

/// The directory of a file, unless that is everything.
fn directory_of(path: &Path) -> Option<PathBuf> {
    let parent = path.parent()?;
    let directory = if parent == Path::new("") {
        Path::new(".")
    } else {
        parent
    };
    (directory != Path::new("/")).then(|| directory.to_owned())
}
