//! What `portcullis dev` prints on start: things to paste.

use std::fmt::Write as _;
use std::path::Path;

use crate::dev::people::{DB_SECRET, NOBODY, PEOPLE, SECRETS_USER, TENANT};
use crate::dev::world::World;

/// The guide to a running world.
pub(super) fn text(world: &World, program: &str, directory: &Path, records: &Path) -> String {
    let (url, ca) = (world.url(), world.ca_file());
    let token = |name: &str| {
        format!(
            "$({program} dev token --as {name} --directory '{}')",
            directory.display()
        )
    };
    let curl = |name: &str| {
        format!(
            "  curl --cacert '{}' -H \"Authorization: Bearer {}\" \\\n    '{url}/secrets/{DB_SECRET}?api-version=7.4'\n",
            ca.display(),
            token(name)
        )
    };
    let mut text = format!("Portcullis is at {url}, in front of an embedded vault.\n\nPeople:\n");
    for person in &PEOPLE {
        // Writing to a `String` cannot fail.
        let _ = writeln!(text, "  {:14}{}", person.name, person.about);
    }
    let _ = write!(
        text,
        "\nAllowed:\n{}\nRefused, with the reason:\n{}\n{}\n",
        curl(SECRETS_USER.name),
        curl(NOBODY.name),
        python(world, directory),
    );
    let _ = write!(
        text,
        "Role data:  {} (edit a file, and the change is in force)\nRecords:    tail -f '{}'\nMetrics:    curl http://{}/metrics\nStop:       Ctrl-C\n",
        world.role_directory().display(),
        records.display(),
        world.proxy.admin_address(),
    );
    text
}

/// Microsoft's SDK, with the two settings a host name of one's own needs.
fn python(world: &World, directory: &Path) -> String {
    let lines = [
        "Python (pip install azure-identity azure-keyvault-secrets):".to_owned(),
        format!(
            "  REQUESTS_CA_BUNDLE='{}' python3 - <<'EOF'",
            world.ca_file().display()
        ),
        "import json".to_owned(),
        "from azure.identity import ClientSecretCredential".to_owned(),
        "from azure.keyvault.secrets import SecretClient".to_owned(),
        format!(
            "secret = json.load(open('{}/dev.json'))['client_secret']",
            directory.display()
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
