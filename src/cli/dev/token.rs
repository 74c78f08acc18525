//! `portcullis dev token`: a token from the running embedded issuer.

use std::fs;

use clap::Args;

use super::{Context, Failure, Place, STATE_FILE, State, people, print};
use crate::cli::{runtime, with_causes};
use crate::tls;

/// The arguments of `portcullis dev token`.
#[derive(Args, Debug)]
pub(super) struct Token {
    /// Who: admin, secrets-user, reader, crypto-user, db-app, app-reader, group-member, no-purge, expired-pim, nobody, or a role's holder such as crypto-officer
    #[arg(long = "as", value_name = "NAME")]
    name: String,
    #[command(flatten)]
    place: Place,
}

impl Token {
    pub(super) fn run(&self, context: &Context) -> Result<(), Failure> {
        let person = people::named(&self.name).ok_or_else(|| {
            let names: Vec<&str> = people::everybody().map(|person| person.name).collect();
            format!(
                "there is nobody called `{}`; expected one of {}",
                self.name,
                names.join(", ")
            )
        })?;
        let state_file = self.place.directory(context)?.join(STATE_FILE);
        let state = fs::read(&state_file).map_err(|_| {
            let path = state_file.display();
            format!("`portcullis dev` is not running: there is no `{path}`")
        })?;
        let state: State = serde_json::from_slice(&state)?;
        let form = format!(
            "grant_type=client_credentials&client_id={}&client_secret={}&scope=https%3A%2F%2Fvault.azure.net%2F.default",
            person.client_id, state.client_secret
        );
        let answer: serde_json::Value = runtime()?.block_on(async {
            let answer = client(&state)?
                .post(&state.token_endpoint)
                .header("content-type", "application/x-www-form-urlencoded")
                .body(form)
                .send()
                .await
                .map_err(|error| {
                    let causes = with_causes(&error);
                    format!("the embedded issuer does not answer: {causes}")
                })?;
            Ok::<_, Failure>(serde_json::from_slice(&answer.bytes().await?)?)
        })?;
        let token = answer
            .get("access_token")
            .and_then(serde_json::Value::as_str);
        print(&format!(
            "{}\n",
            token.ok_or("the embedded issuer gave no token")?
        ))
    }
}

fn client(state: &State) -> Result<reqwest::Client, Failure> {
    let tls = tls::client_config(Some(&state.ca_file))?;
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .no_proxy()
        .build()?)
}
