//! What request lines are operations, and what is refused.

use super::*;

const VERSION: &str = "1d89273b3c364e018f939c2f0d151622";

fn route(line: &str) -> Result<Operation, RouteError> {
    let (method, path) = line.split_once(' ').unwrap();
    parse(&method.parse().unwrap(), path, Some("api-version=7.4"), &[])
}

fn kind(line: &str) -> OperationKind {
    route(line)
        .unwrap_or_else(|error| panic!("{line}: {error}"))
        .kind()
}

fn sent(line: &str) -> String {
    let path = route(line)
        .unwrap_or_else(|error| panic!("{line}: {error}"))
        .path_and_query();
    path.strip_suffix("?api-version=7.4").unwrap().to_owned()
}

#[test]
fn both_forms_of_no_version_are_accepted_and_rendered_as_they_came() {
    for path in ["/secrets/n", "/secrets/n/"] {
        assert_eq!(kind(&format!("GET {path}")), OperationKind::SecretGet);
        assert_eq!(sent(&format!("GET {path}")), path);
    }
    for path in ["/keys/n/sign", "/keys/n//sign"] {
        assert_eq!(kind(&format!("POST {path}")), OperationKind::KeySign);
        assert_eq!(sent(&format!("POST {path}")), path);
    }
    assert_eq!(sent("PATCH /keys/n/"), "/keys/n/");
    assert_eq!(sent("POST /keys/n//release"), "/keys/n//release");
}

#[test]
fn a_leading_double_slash_is_rendered_as_one() {
    assert_eq!(sent("PUT //secrets/DeleteIt"), "/secrets/DeleteIt");
}

#[test]
fn literals_are_matched_in_any_case_and_rendered_as_key_vault_spells_them() {
    assert_eq!(sent("GET /SECRETS/App/Versions"), "/secrets/App/versions");
    assert_eq!(
        sent(&format!("POST /Keys/k/{}/SIGN", VERSION.to_uppercase())),
        format!("/keys/k/{VERSION}/sign")
    );
}

#[test]
fn reserved_certificate_names_are_never_certificates() {
    assert_eq!(
        kind("GET /certificates/contacts"),
        OperationKind::CertificateContactsGet
    );
    assert_eq!(
        kind("GET /certificates/Issuers"),
        OperationKind::CertificateIssuersList
    );
    assert_eq!(
        kind("GET /certificates/issuers/digicert"),
        OperationKind::CertificateIssuerGet
    );
    for line in [
        "PATCH /certificates/contacts",
        "GET /certificates/contacts/",
        "POST /certificates/CONTACTS/create",
        "POST /certificates/issuers/import",
        "GET /deletedcertificates/issuers",
        "DELETE /certificates/issuers",
    ] {
        assert!(route(line).is_err(), "{line}");
    }
}

#[test]
fn an_issuer_may_be_named_like_a_verb() {
    assert_eq!(
        kind("GET /certificates/issuers/versions"),
        OperationKind::CertificateIssuerGet
    );
    assert_eq!(
        kind("GET /certificates/issuers/policy"),
        OperationKind::CertificateIssuerGet
    );
}

#[test]
fn an_object_may_be_named_restore() {
    assert_eq!(kind("POST /secrets/restore"), OperationKind::SecretRestore);
    assert_eq!(kind("GET /secrets/restore"), OperationKind::SecretGet);
    assert_eq!(kind("PUT /keys/restore"), OperationKind::KeyImport);
    assert_eq!(
        kind("DELETE /certificates/restore"),
        OperationKind::CertificateDelete
    );
}

#[test]
fn paths_that_could_mean_two_things_are_refused() {
    for line in [
        "GET /",
        "GET /secrets/../keys/k",
        "GET /secrets/./n",
        "GET /secrets/..",
        "GET /secrets/n%2fversions",
        "GET /secrets/%6e",
        "GET /secrets/n%00",
        "GET /secrets\\n",
        "GET /secrets/n;x=1",
        "GET /secrets/n#frag",
        "GET secrets/n",
        "GET ///secrets/n",
        "GET /secrets//n",
        "GET /secrets/",
        "GET /secrets//",
        "GET /keys/n//sign/",
        "GET /secrets/n//",
        "DELETE /secrets/n/",
        "POST /keys/n/create/",
        "GET /secrets/n/versions/",
        "GET /secrets/n\u{e4}",
    ] {
        assert!(
            matches!(route(line), Err(RouteError::BadPath(_))),
            "{line}: {:?}",
            route(line)
        );
    }
}

#[test]
fn unknown_operations_are_refused() {
    for line in [
        "GET /secrets/n/latest",
        "DELETE /deletedsecrets/n/purge",
        "POST /secrets/n",
        "POST /keys/n/import",
        "GET /keys/n/sign",
        "HEAD /secrets/n",
        "OPTIONS /secrets",
        "GET /vaults",
        "POST /keys/n/1d89273b3c364e018f939c2f0d151622/rotate",
        "GET /secrets/n/1d89273b3c364e018f939c2f0d151622/versions",
        "GET /subscriptions/s/providers/Microsoft.Authorization/roleAssignments",
    ] {
        assert!(
            matches!(route(line), Err(RouteError::UnknownOperation { .. })),
            "{line}: {:?}",
            route(line)
        );
    }
}

#[test]
fn operations_of_managed_hsm_are_refused_by_name() {
    for line in [
        "POST /rng",
        "GET /keys/n//attestation",
        "POST /keys/n/export",
        "POST /keys/n/1d89273b3c364e018f939c2f0d151622/securewrapkey",
        "PUT /keys/n/restore",
        "GET /settings",
        "POST /securitydomain/download",
    ] {
        assert!(
            matches!(route(line), Err(RouteError::NotForVaults(_))),
            "{line}: {:?}",
            route(line)
        );
    }
}

#[test]
fn names_outside_the_grammar_are_refused_by_name() {
    for line in [
        "GET /secrets/bad_name",
        "PUT /storage/a-b",
        "GET /storage/ab/sas/c-d",
        "GET /secrets/*",
    ] {
        assert!(
            matches!(route(line), Err(RouteError::BadName { .. })),
            "{line}: {:?}",
            route(line)
        );
    }
}

#[test]
fn what_is_rendered_reads_as_the_same_operation() {
    for &kind in OperationKind::ALL {
        let row = kind.row();
        for version in ["", VERSION] {
            let path = row
                .template
                .replace("{name}", "Abc")
                .replace("{sas}", "Def")
                .replace("{version}", version);
            let line = format!("{} {path}", row.method);
            let first = route(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert_eq!(first.kind(), kind, "{line}");
            let again = route(&format!("{} {}", row.method, sent(&line))).unwrap();
            assert_eq!(first, again);
        }
    }
}

#[test]
fn exactly_one_row_matches_each_operation() {
    for &kind in OperationKind::ALL {
        let row = kind.row();
        let path = row
            .template
            .replace("{name}", "abc")
            .replace("{sas}", "def")
            .replace("{version}", VERSION);
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let matching: Vec<_> = OperationKind::ALL
            .iter()
            .filter(|other| other.row().method == row.method)
            .filter(|other| {
                match_template(&split_template(other.row().template), &segments)
                    .is_some_and(|captures| !is_reserved(**other, &captures))
            })
            .collect();
        assert_eq!(matching, [&kind]);
    }
}

proptest::proptest! {
    #[test]
    fn no_request_line_panics_and_what_is_read_is_rendered_stably(
        method in "GET|PUT|POST|PATCH|DELETE|HEAD|[A-Z]{1,8}",
        path in "(/{0,2}(secrets|keys|certificates|deletedsecrets|storage|Keys|[a-z.%;\\\\]{0,6}))?(/([a-zA-Z0-9-]{0,4}|\\.\\.|%2f|versions|sign|[0-9a-f]{32})){0,4}",
        query in proptest::option::of("(&?(api-version|api%2Dversion|maxresults|[$]skiptoken|x)=([0-9.]{0,4}|2026-04-01|%[0-9a-f]{0,2}|[^&]{0,5})){0,3}"),
    ) {
        let Ok(method) = method.parse::<http::Method>() else { return Ok(()) };
        if let Ok(first) = parse(&method, &path, query.as_deref(), &[]) {
            let rendered = first.path_and_query();
            proptest::prop_assert!(!rendered.contains("..") && !rendered.contains('\\'));
            let (path, query) = rendered.split_once('?').unwrap();
            let again = parse(&method, path, Some(query), &[]).unwrap();
            proptest::prop_assert_eq!(&first, &again);
            proptest::prop_assert_eq!(rendered.clone(), again.path_and_query());
        }
    }

    #[test]
    fn arbitrary_text_never_panics(path in ".*", query in ".*") {
        let _ = parse(&http::Method::GET, &path, Some(&query), &[]);
        let _ = parse(&http::Method::POST, &path, Some(&query), &[]);
    }
}
