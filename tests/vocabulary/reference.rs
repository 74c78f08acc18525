//! The tables of `docs/conditions.md`, made from the vocabulary.
//!
//! `PORTCULLIS_BLESS=1 cargo test --test vocabulary` writes them anew.

use std::fmt::Write as _;
use std::path::Path;

use portcullis::abac::vocabulary::{Azure, Known, Origin, Shape};
use portcullis::abac::{Needs, Source};
use portcullis::attributes::{can_have, suboperation};
use portcullis::keyvault::{DataAction, ObjectType, OperationKind};

use crate::attribute;

const BEGIN: &str = "<!-- Made from the vocabulary; a test compares. -->\n";
const END: &str = "<!-- The end of what is made from the vocabulary. -->\n";

fn name(known: Known) -> String {
    let name = known.path_and_name();
    match known.shape() {
        Shape::One(_) | Shape::Many(_) => format!("`{name}`"),
        Shape::Dictionary(_) => {
            format!("`{name}:<key><$key_case_sensitive$>`<br>`{name}&$keys$&`")
        }
        Shape::Custom => format!("`{name}:<Set>_<Attribute>`"),
    }
}

fn type_name(known: Known) -> String {
    match known.shape() {
        Shape::One(value_type) | Shape::Dictionary(value_type) => format!("{value_type:?}"),
        Shape::Many(value_type) => format!("list of {value_type:?}"),
        Shape::Custom => "as the data says".to_owned(),
    }
}

fn origin(known: Known) -> &'static str {
    match known.origin() {
        Origin::Line(_) => "request line",
        Origin::Body(..) => "body",
        Origin::Metadata(..) if known.needs() == Needs::CURRENT_VERSION => "vault, its versions",
        Origin::Metadata(..) => "vault",
        Origin::Token(_) => "token",
        Origin::Connection(_) => "connection",
        Origin::Configuration(_) => "configuration",
        Origin::Clock(_) => "clock",
        Origin::Custom => "role data",
    }
}

const fn azure(known: Known) -> &'static str {
    match known.azure() {
        Azure::Preview => "preview",
        Azure::OtherService => "other services",
        Azure::Ours => "no",
    }
}

/// The data actions that can have it, if not all can.
fn actions(known: Known) -> String {
    let all = having(Known::VaultName);
    let with = having(known);
    if with == all {
        return "all".to_owned();
    }
    if let Origin::Metadata(object, _) = known.origin() {
        let name = match object {
            ObjectType::Certificate => Known::CertificateName,
            ObjectType::Key => Known::KeyName,
            ObjectType::Secret => Known::SecretName,
        };
        if with == having(name) {
            return "those of `:name`".to_owned();
        }
    }
    with.into_iter().map(short).collect::<Vec<_>>().join(", ")
}

fn short(action: DataAction) -> String {
    let text = action.as_str();
    let text = text.trim_start_matches("Microsoft.KeyVault/vaults/");
    text.trim_end_matches("/action").to_owned()
}

fn having(known: Known) -> Vec<DataAction> {
    let wanted = attribute(known);
    let actions = DataAction::ALL.iter().copied();
    actions
        .filter(|action| can_have(*action, &wanted))
        .collect()
}

fn tables() -> String {
    let mut text = String::new();
    for source in [
        Source::Resource,
        Source::Request,
        Source::Principal,
        Source::Environment,
    ] {
        writeln!(text, "\n### `@{source:?}`\n").unwrap();
        text.push_str(
            "| attribute | type | comes from | Azure knows it | what it is | data actions |\n",
        );
        text.push_str("|---|---|---|---|---|---|\n");
        for &known in Known::ALL.iter().filter(|known| known.source() == source) {
            let meaning = known.origin().meaning();
            writeln!(
                text,
                "| {} | {} | {} | {} | {meaning} | {} |",
                name(known),
                type_name(known),
                origin(known),
                azure(known),
                actions(known)
            )
            .unwrap();
        }
    }
    text.push_str(
        "\n### Suboperations\n\n| suboperation | operation | data actions |\n|---|---|---|\n",
    );
    for &kind in OperationKind::ALL {
        if let Some(name) = suboperation(kind) {
            let row = kind.row();
            let actions: Vec<_> = row
                .data_actions
                .iter()
                .map(|action| short(*action))
                .collect();
            let (method, path, actions) = (row.method, row.template, actions.join(", "));
            writeln!(text, "| `{name}` | `{method} {path}` | {actions} |").unwrap();
        }
    }
    text.push('\n');
    text
}

#[test]
fn the_reference_says_what_the_vocabulary_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/conditions.md");
    let document = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = document.split_once(BEGIN).unwrap();
    let (written, after) = rest.split_once(END).unwrap();
    let expected = tables();
    if std::env::var_os("PORTCULLIS_BLESS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
        return;
    }
    for (written, expected) in written.lines().zip(expected.lines()) {
        assert_eq!(written, expected);
    }
    assert_eq!(written, expected);
}
