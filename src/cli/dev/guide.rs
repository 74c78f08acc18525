//! What `portcullis dev` prints on start: things to paste.

use std::fmt::{Display, Write as _};
use std::path::Path;

use serde_json::Value;

use super::STATE_FILE;
use crate::dev::people::{
    APP_READER, DB_SECRET, NOBODY, SECRETS_USER, TENANT, TLS_SECRET, everybody,
};
use crate::dev::world::World;

/// The guide to a running world, which was started by the command `program`.
pub(super) fn text(world: &World, program: &str, directory: &Path, records: &Path) -> String {
    let (url, ca) = (world.url(), shell(world.ca_file().display()));
    let (program, place) = (shell(from_anywhere(program)), shell(directory.display()));
    let curl = |name: &str, secret: &str| {
        let token = format!("$({program} dev token --as {name} --directory {place})");
        format!(
            "  curl --cacert {ca} -H \"Authorization: Bearer {token}\" \\\n    '{url}/secrets/{secret}?api-version=7.4'\n",
        )
    };
    let mut text = format!(
        "Portcullis is at {url}, in front of an embedded vault.\nThe vault is for tests and demos: it keeps everything in memory, and nothing when it stops.\n\nPeople:\n"
    );
    for person in everybody() {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "  {:22}{}", person.name, person.about);
    }
    let _ = write!(
        text,
        "\nAllowed:\n{}\nRefused, with the reason:\n{}\nRefused by a condition, which the answer names:\n{}\n{}\n",
        curl(SECRETS_USER.name, DB_SECRET),
        curl(NOBODY.name, DB_SECRET),
        curl(APP_READER.name, TLS_SECRET),
        python(world, directory),
    );
    let _ = write!(
        text,
        "Role data:  {} (edit a file, and the change is in force until the next start)\nRecords:    tail -f {}\nMetrics:    curl http://{}/metrics\nStop:       Ctrl-C\n",
        world.role_directory().display(),
        shell(records.display()),
        world.proxy.admin_address(),
    );
    text
}

/// Microsoft's SDK, with the two settings a host name of one's own needs.
fn python(world: &World, directory: &Path) -> String {
    let state_file = directory.join(STATE_FILE);
    let lines = [
        "Python (pip install azure-identity azure-keyvault-secrets):".to_owned(),
        format!(
            "  REQUESTS_CA_BUNDLE={} python3 - <<'EOF'",
            shell(world.ca_file().display())
        ),
        "import json".to_owned(),
        "from azure.identity import ClientSecretCredential".to_owned(),
        "from azure.keyvault.secrets import SecretClient".to_owned(),
        format!(
            "secret = json.load(open({}))['client_secret']",
            // JSON's texts are Python's.
            Value::from(state_file.to_string_lossy())
        ),
        format!(
            "credential = ClientSecretCredential('{TENANT}', '{}', secret,",
            SECRETS_USER.client_id
        ),
        format!(
            "    authority='{}', disable_instance_discovery=True)",
            world.issuer.url()
        ),
        format!(
            "client = SecretClient('{}', credential, verify_challenge_resource=False)",
            world.url()
        ),
        format!("print(client.get_secret('{DB_SECRET}').value)"),
        "EOF".to_owned(),
    ];
    lines.join("\n") + "\n"
}

/// `program` as it can be called from any folder: one that was called by a path is called by that.
fn from_anywhere(program: &str) -> String {
    match std::path::absolute(program) {
        Ok(path) if program.contains('/') => path.to_string_lossy().into_owned(),
        _ => program.to_owned(),
    }
}

/// `text` as one word of a shell.
fn shell(text: impl Display) -> String {
    let text = text.to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text;
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}
