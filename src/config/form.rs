//! The forms that texts of the configuration must have. An error is the expected form.

use std::fs::{self, File};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use http::Uri;
use ipnet::IpNet;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

use crate::clock::Zone;
use crate::keyvault::{Authority, NameError};
use crate::principal::TenantId;
use crate::rbac::{ManagementGroup, Scope, ScopeError};

/// The longest name of a listener or issuer: one DNS label, to be safe in any label or log.
const MAX_NAME_BYTES: usize = 63;

/// The name of a listener or issuer: fit for labels, logs and environment variables.
pub(super) fn name(text: &str) -> Result<Arc<str>, &'static str> {
    let legal = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
    let sound = text.bytes().next().is_some_and(|c| c.is_ascii_alphabetic())
        && text.len() <= MAX_NAME_BYTES
        && text.bytes().all(legal)
        && !text.ends_with('-')
        && !text.contains("--");
    sound.then(|| text.into()).ok_or(
        "expected 1 to 63 letters, digits and single `-`, beginning with a letter and not ending with `-`",
    )
}

/// An address to bind.
pub(super) fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse()
        .map_err(|_| "expected an IP address and a port such as `127.0.0.1:8443` or `[::]:8443`")
}

/// An address to bind, where a socket could be named as well.
pub(super) fn address_or_socket(text: &str) -> Result<SocketAddr, &'static str> {
    address(text).map_err(|_| {
        "expected an IP address and a port such as `127.0.0.1:8443` or `[::]:8443`, or `unix:` and a path"
    })
}

/// The mode of a Unix socket: to connect is to write.
pub(super) fn socket_mode(text: &str) -> Result<u32, &'static str> {
    let octal = text.len() == 4 && text.bytes().all(|c| (b'0'..=b'7').contains(&c));
    let mode = u32::from_str_radix(text, 8).ok().filter(|_| octal);
    mode.filter(|mode| mode & !0o666 == 0 && mode & 0o600 == 0o600)
        .ok_or("expected four octal digits, reading and writing for the owner at least, such as `0600` or `0660`")
}

/// The longest path of a socket that Linux takes, without the zero at its end.
const MAX_SOCKET_PATH_BYTES: usize = 107;

/// A Unix socket that can be made, or made again.
pub(super) fn socket(path: &Path) -> Result<(), String> {
    if path.as_os_str().len() > MAX_SOCKET_PATH_BYTES {
        return Err(format!("expected at most {MAX_SOCKET_PATH_BYTES} bytes"));
    }
    writable_place(path)
}

/// An address to connect to.
pub(super) fn destination(text: &str) -> Result<SocketAddr, &'static str> {
    address(text)
        .ok()
        .filter(|address| address.port() != 0)
        .ok_or("expected an IP address and a port other than 0 such as `10.20.0.4:443`")
}

/// A range of addresses in CIDR notation.
pub(super) fn range(text: &str) -> Result<IpNet, String> {
    let range: IpNet = text.parse().map_err(|_| {
        "expected an IP address and a prefix length such as `10.1.0.0/16` or `2001:db8::/32`"
            .to_owned()
    })?;
    // The addresses of clients are compared in this form, so that another would never match.
    let canonical = match range.network().to_canonical() {
        IpAddr::V4(network) if range.addr().is_ipv6() => range
            .prefix_len()
            .checked_sub(96)
            .and_then(|length| IpNet::new(network.into(), length).ok()),
        IpAddr::V4(_) | IpAddr::V6(_) => Some(range.trunc()),
    };
    match canonical {
        Some(canonical) if canonical == range => Ok(range),
        Some(canonical) => Err(format!("expected `{canonical}`")),
        None => Err("expected IPv4 addresses in their own form such as `10.1.0.0/16`".to_owned()),
    }
}

/// A range of peers that are believed about others.
pub(super) fn believed(text: &str) -> Result<IpNet, String> {
    let range = range(text)?;
    // SECURITY: of everybody each client is one, and would be believed about itself.
    if range.prefix_len() == 0 {
        return Err(
            "expected the addresses of your own proxies, which are not all there are".into(),
        );
    }
    Ok(range)
}

/// The resource id of a subnet.
pub(super) fn subnet(text: &str) -> Result<Arc<str>, String> {
    network_resource(text, "virtualNetworks/{name}/subnets/{name}")
}

/// The resource id of a private endpoint.
pub(super) fn private_endpoint(text: &str) -> Result<Arc<str>, String> {
    network_resource(text, "privateEndpoints/{name}")
}

/// A resource id of the provider `Microsoft.Network` that ends in this way.
fn network_resource(text: &str, end: &str) -> Result<Arc<str>, String> {
    const START: &str = "/subscriptions/{id}/resourceGroups/{name}/providers/Microsoft.Network";
    let expected = format!("{START}/{end}");
    let sound = |segment: &str| {
        let legal = |c: u8| c.is_ascii_alphanumeric() || b"-_.()".contains(&c);
        !segment.is_empty() && segment.bytes().all(legal)
    };
    let same = text.split('/').count() == expected.split('/').count();
    let fits = text
        .split('/')
        .zip(expected.split('/'))
        .all(|(is, wanted)| {
            let free = wanted.starts_with('{');
            (free && sound(is)) || (!free && is.eq_ignore_ascii_case(wanted))
        });
    if same && fits {
        Ok(text.into())
    } else {
        Err(format!("expected `{expected}`"))
    }
}

/// A time zone.
pub(super) fn zone(text: &str) -> Result<Zone, &'static str> {
    Zone::named(text)
        .ok_or("expected a name of the IANA time zone database such as `Europe/Berlin` or `UTC`")
}

/// The resource id of a vault.
pub(super) fn vault(text: &str) -> Result<Scope, ScopeError> {
    let scope: Scope = text.parse().map_err(|_| ScopeError::NotAVault)?;
    scope.vault_name().map(|_| scope)
}

/// The host a vault calls itself by.
pub(super) fn authority(text: &str) -> Result<Authority, NameError> {
    let authority: Authority = text.parse()?;
    if authority.port() == 0 {
        return Err(NameError::Authority);
    }
    Ok(authority)
}

/// The bare name of a management group.
pub(super) fn management_group(text: &str) -> Result<ManagementGroup, &'static str> {
    text.parse().map_err(|_| {
        "expected the name of a management group: 1 to 90 letters, digits and `-_().`, without a path"
    })
}

/// A URL to fetch keys from.
pub(super) fn url(text: &str) -> Result<Box<str>, &'static str> {
    match https(text) {
        Some(_) => Ok(text.into()),
        None => Err("expected an `https://` URL without user name and fragment"),
    }
}

/// The `authorization` of the challenge.
pub(super) fn challenge_authority(
    text: &str,
    tenant: Option<TenantId>,
) -> Result<Box<str>, &'static str> {
    const FORM: &str = "expected `https://host/tenant` without a slash at the end, query, comma, quote, `=` or white space";
    let path = challenge_path(text).ok_or(FORM)?;
    let segment = path.strip_prefix('/').ok_or(FORM)?;
    // Azure: some SDKs take the whole path for the tenant.
    if segment.is_empty() || segment.contains('/') {
        return Err(FORM);
    }
    match (segment.parse::<TenantId>(), tenant) {
        (Ok(named), Some(tenant)) if named != tenant => {
            Err("expected the tenant of `tenant_id` in the path")
        }
        _ => Ok(text.into()),
    }
}

/// The `resource` of the challenge.
pub(super) fn challenge_resource(text: &str) -> Result<Box<str>, &'static str> {
    // Azure: clients append `/.default`; with two slashes the token's audience ends in one, which
    // Key Vault refuses.
    match challenge_path(text) {
        Some(_) if !text.ends_with('/') => Ok(text.into()),
        _ => Err(
            "expected an `https://` URL without a slash at the end, query, comma, quote, `=` or white space",
        ),
    }
}

/// The path of a URL that is safe in a challenge.
///
/// Azure: SDKs split the challenge at commas, spaces and `=` without minding quotes.
fn challenge_path(text: &str) -> Option<String> {
    let safe = |c: u8| c.is_ascii_alphanumeric() || b"-._~:/[]".contains(&c);
    if !text.bytes().all(safe) {
        return None;
    }
    https(text).map(|uri| uri.path().to_owned())
}

fn https(text: &str) -> Option<Uri> {
    // `Uri` drops a fragment without a word.
    let uri: Uri = text.parse().ok().filter(|_| !text.contains('#'))?;
    let host = uri.authority()?;
    let host: Authority = host.as_str().parse().ok()?;
    (uri.scheme_str() == Some("https") && host.port() != 0).then_some(uri)
}

/// A filter for the log.
pub(super) fn log_filter(text: &str) -> Result<Box<str>, &'static str> {
    match levels(text) {
        Some(_) => Ok(text.into()),
        None => Err(
            "expected a level such as `info`, or levels by module such as `info,portcullis=debug`",
        ),
    }
}

/// A filter as it will be used, unless it would silence by mistake.
pub(crate) fn levels(text: &str) -> Option<Targets> {
    // A bare word that is no level would be taken for a target: `inof` would silence everything.
    let is_directive = |directive: &str| {
        let is_word = !directive.is_empty() && !directive.contains(char::is_whitespace);
        is_word && (directive.contains('=') || directive.parse::<LevelFilter>().is_ok())
    };
    if !text.split(',').all(is_directive) {
        return None;
    }
    text.parse().ok()
}

/// The name of a query parameter that may pass besides those of `known`.
pub(super) fn parameter(text: &str, known: &[&str]) -> Result<Box<str>, &'static str> {
    // SECURITY: the proxy compares names with case, the vault may not: `Api-Version` beside
    // `api-version` would leave open which of the two counts.
    if known.iter().any(|name| name.eq_ignore_ascii_case(text)) {
        return Err("expected a name that is not one of Key Vault's own in whatever case");
    }
    let legal = |c: u8| c.is_ascii_alphanumeric() || b"-._$".contains(&c);
    if text.is_empty() || text.len() > 64 || !text.bytes().all(legal) {
        return Err("expected 1 to 64 letters, digits and `-._$`");
    }
    Ok(text.into())
}

/// Whether two addresses cannot both be bound.
pub(super) fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let covers = |any: SocketAddr, ip: SocketAddr| {
        any.ip() == ip.ip() || (any.ip().is_unspecified() && any.is_ipv4() == ip.is_ipv4())
    };
    one.port() != 0 && one.port() == other.port() && (covers(one, other) || covers(other, one))
}

/// Whether a client could mean either; port 0 stands for any.
pub(super) fn same_place(one: &Authority, other: &Authority) -> bool {
    let any = one.port() == 0 || other.port() == 0;
    one.host() == other.host() && (any || one.port() == other.port())
}

/// A file that can be read.
pub(super) fn file(path: &Path) -> Result<(), String> {
    let expected = |reason: &dyn std::fmt::Display| format!("expected a readable file: {reason}");
    let metadata = fs::metadata(path).map_err(|error| expected(&error))?;
    // Before opening: to open a named pipe waits for a writer.
    if !metadata.is_file() {
        return Err(expected(&"this is not a file"));
    }
    File::open(path).map(drop).map_err(|error| expected(&error))
}

/// A file, or a directory that can be listed.
pub(super) fn file_or_directory(path: &Path) -> Result<(), String> {
    let expected = |error| format!("expected a readable file or directory: {error}");
    if !fs::metadata(path).map_err(expected)?.is_dir() {
        return file(path);
    }
    directory(path)
}

/// A directory that can be listed.
pub(super) fn directory(path: &Path) -> Result<(), String> {
    fs::read_dir(path)
        .map(drop)
        .map_err(|error| format!("expected a readable directory: {error}"))
}

/// A file that can be made, or written again: its directory is there and it is no directory.
pub(super) fn writable_place(path: &Path) -> Result<(), String> {
    if path.is_dir() {
        return Err("expected a file: this is a directory".to_owned());
    }
    match path.parent() {
        // The working directory.
        Some(parent) if parent.as_os_str().is_empty() => Ok(()),
        Some(parent) if parent.is_dir() => Ok(()),
        _ => Err("expected a file in a directory that exists".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_is_a_file_in_the_working_directory() {
        assert_eq!(writable_place(Path::new("decisions.jsonl")), Ok(()));
        assert!(writable_place(Path::new("absent/decisions.jsonl")).is_err());
        assert!(writable_place(Path::new("src")).is_err());
    }
}
