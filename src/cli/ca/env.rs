//! `portcullis ca env`: what an application needs in order to trust the CA, ready to paste.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::{At, print};
use crate::ca::{CaFiles, Existing, MODE_PUBLIC, place};
use crate::cli::Failure;

/// The bundle that pasted lines make where none was asked for.
const BUNDLE: &str = "portcullis-bundle.crt";

/// The store that pasted lines make for Java.
const STORE: &str = "portcullis-trust.p12";

/// The arguments of `portcullis ca env`.
#[derive(Args, Debug)]
pub(in crate::cli) struct Env {
    /// What the application is written in, or `system` for all that use the system's store
    #[arg(long = "for", value_name = "WHAT")]
    audience: Audience,
    #[command(flatten)]
    at: At,
    /// Write the CA and this system's public CAs into one file, and print lines that name it
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
}

/// Who is to trust the CA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Audience {
    Python,
    Node,
    Java,
    Dotnet,
    Go,
    System,
}

impl Env {
    pub(super) fn run(self) -> Result<(), Failure> {
        let root = CaFiles::of(&self.at.dir).root;
        // An application is started elsewhere; and a path that leads nowhere is a trap.
        let root = fs::canonicalize(&root)
            .map_err(|error| format!("cannot find the CA `{}`: {error}", root.display()))?;
        CertificateDer::from_pem_file(&root)
            .map_err(|_| format!("`{}` holds no certificate", root.display()))?;
        let bundle = match &self.bundle {
            None => None,
            Some(path) => Some(write_bundle(&root, path)?),
        };
        print(&text(self.audience, &quoted(&root), bundle.as_deref()))
    }
}

/// The lines for `audience`. `root` and `bundle` are words of a shell.
fn text(audience: Audience, root: &str, bundle: Option<&str>) -> String {
    let made = format!("\"$PWD/{BUNDLE}\"");
    let (make, with) = match bundle {
        Some(bundle) => (String::new(), bundle),
        None => (bundle_commands(audience, root), &*made),
    };
    match audience {
        Audience::Python => format!(
            "# requests, and with it the Azure SDK and the az command, trusts the file that\n\
             # REQUESTS_CA_BUNDLE names and nothing else, so that it must hold the public CAs too.\n\
             # The asynchronous clients of the SDK go by SSL_CERT_FILE.\n\
             {make}export REQUESTS_CA_BUNDLE={with}\nexport SSL_CERT_FILE={with}\n"
        ),
        Audience::Node => format!(
            "# Added to the CAs that Node brings along; read once, when it starts.\n\
             export NODE_EXTRA_CA_CERTS={root}\n"
        ),
        Audience::Java => java(root),
        Audience::Dotnet => in_place_of_the_system(".NET", &make, with),
        Audience::Go => in_place_of_the_system("Go", &make, with),
        Audience::System => system(root),
    }
}

fn in_place_of_the_system(name: &str, make: &str, with: &str) -> String {
    format!(
        "# {name} on Linux reads the file that SSL_CERT_FILE names in place of the system's own.\n\
         # On Windows and macOS it goes by the system's store: --for system says how.\n\
         {make}export SSL_CERT_FILE={with}\n"
    )
}

/// Commands that make the bundle out of what the application trusted before.
fn bundle_commands(audience: Audience, root: &str) -> String {
    if audience == Audience::Python {
        return format!("cat \"$(python3 -m certifi)\" {root} > {BUNDLE}\n");
    }
    format!(
        "for public in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt \
         /etc/ssl/cert.pem; do\n  \
         [ -r \"$public\" ] && cat \"$public\" {root} > {BUNDLE} && break\ndone\n"
    )
}

fn java(root: &str) -> String {
    format!(
        "# javax.net.ssl.trustStore takes the place of the CAs that Java brings along, so the new\n\
         # store begins as a copy of theirs. Its password is no secret: Java asks for one.\n\
         JAVA_HOME=\"${{JAVA_HOME:-$(dirname \"$(dirname \"$(readlink -f \"$(command -v java)\")\")\")}}\"\n\
         \"$JAVA_HOME/bin/keytool\" -importkeystore -noprompt -srckeystore \"$JAVA_HOME/lib/security/cacerts\" \
         -srcstorepass changeit -destkeystore {STORE} -deststoretype PKCS12 -deststorepass changeit\n\
         \"$JAVA_HOME/bin/keytool\" -importcert -noprompt -alias portcullis -file {root} \
         -keystore {STORE} -storepass changeit\n\
         export JAVA_TOOL_OPTIONS=\"-Djavax.net.ssl.trustStore=$PWD/{STORE} \
         -Djavax.net.ssl.trustStorePassword=changeit\"\n"
    )
}

fn system(root: &str) -> String {
    format!(
        "# As root. What uses OpenSSL, GnuTLS, Go or .NET then trusts the CA; Python's requests,\n\
         # Node and most builds of Java do not look there.\n\
         if command -v update-ca-certificates > /dev/null; then\n  \
         cp {root} /usr/local/share/ca-certificates/portcullis.crt && update-ca-certificates\n\
         elif command -v update-ca-trust > /dev/null; then\n  \
         cp {root} /etc/pki/ca-trust/source/anchors/portcullis.crt && update-ca-trust extract\n\
         fi\n\
         # macOS:   security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain ca.crt\n\
         # Windows: certutil -addstore Root ca.crt\n"
    )
}

/// Writes the public CAs of this system and the one at `root` to `path`; the path as a word of a
/// shell.
fn write_bundle(root: &Path, path: &Path) -> Result<String, Failure> {
    if !is_place_for_a_bundle(root, path) {
        let told = "is not a file to write a bundle to; expected a new one, or a bundle to replace";
        return Err(format!("`{}` {told}", path.display()).into());
    }
    let public = rustls_native_certs::load_native_certs().certs;
    if public.is_empty() {
        return Err("this system has no public CAs to put into the bundle".into());
    }
    let public = public
        .into_iter()
        .map(|der| pem::Pem::new("CERTIFICATE", der.to_vec()));
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    let mut text = pem::encode_many_config(&public.collect::<Vec<_>>(), config);
    text.push_str(&fs::read_to_string(root)?);
    let failed = |error| format!("cannot write `{}`: {error}", path.display());
    place(path, text.as_bytes(), MODE_PUBLIC, Existing::Replace).map_err(failed)?;
    Ok(quoted(&fs::canonicalize(path)?))
}

/// Whether nothing is lost by a file in this place: not a device, not a link that somebody follows,
/// and nothing of the CA whose root this is.
fn is_place_for_a_bundle(root: &Path, path: &Path) -> bool {
    let of_ca = root
        .parent()
        .is_some_and(|directory| CaFiles::of(directory).contain(path));
    match fs::symlink_metadata(path) {
        Ok(present) => present.is_file() && !of_ca,
        Err(error) => error.kind() == std::io::ErrorKind::NotFound && !of_ca,
    }
}

/// A path as one word of a shell, whatever is in it.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_whatever_is_in_it() {
        assert_eq!(quoted(Path::new("/a b/$(c)'d")), r"'/a b/$(c)'\''d'");
    }
}
