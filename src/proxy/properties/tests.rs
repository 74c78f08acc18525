//! Bodies and answers as Azure documents them, and what is made of others.

use super::*;
use crate::keyvault::route;

fn json(text: &str) -> Json {
    Json::parse(text.as_bytes()).unwrap()
}

fn body(line: &str, text: &str) -> Properties {
    let (method, path) = line.split_once(' ').unwrap();
    let query = Some("api-version=7.4");
    let operation = route::parse(&method.parse().unwrap(), path, query, &[]).unwrap();
    of_body(&operation, &json(text))
}

fn answer(object_type: ObjectType, text: &str) -> Properties {
    of_answer(object_type, &json(text)).0
}

fn date(seconds: i64) -> Option<Values<'static>> {
    let date = DateTime::from_unix_seconds(seconds).unwrap();
    Some(Values::One(Scalar::DateTime(date)))
}

fn spellings(texts: &[&str]) -> Option<Values<'static>> {
    Some(Values::Many(
        texts.iter().map(|text| spelled(text)).collect(),
    ))
}

#[track_caller]
fn assert_has(found: &Properties, expected: &[(Property, Option<Values<'static>>)]) {
    for (property, value) in expected {
        assert_eq!(found.values.get(property), value.as_ref(), "{property:?}");
    }
    for (property, values) in &found.values {
        for value in values.as_slice() {
            let is_name = matches!(value, Scalar::Name(_));
            assert_eq!(is_name, property.is_name(), "{property:?}");
        }
    }
}

use Property as P;

#[test]
fn a_secret_is_read_without_its_value() {
    let found = body(
        "PUT /secrets/n",
        r#"{"value":"hüter2","contentType":"text/plain","tags":{"Team":"a"},
            "attributes":{"enabled":false,"exp":1900000000,"nbf":1}}"#,
    );
    assert_has(
        &found,
        &[
            (P::ValueLength, Some(number(6))),
            (P::ContentType, Some(words("text/plain"))),
            (P::Enabled, Some(truth(false))),
            (P::Expires, date(1_900_000_000)),
            (P::NotBefore, date(1)),
            (P::Created, None),
        ],
    );
    assert_eq!(found.tags.get("Team").map(|tag| &**tag), Some("a"));
    assert!(!format!("{found:?}").contains("hüter2"));
}

#[test]
fn what_has_another_type_is_missing() {
    let found = body(
        "PUT /secrets/n",
        r#"{"value":7,"contentType":["a"],"tags":{"a":"b","c":null},
            "attributes":{"enabled":"true","exp":"1900000000","nbf":1.5,"created":-1}}"#,
    );
    assert_eq!(found.values.keys().collect::<Vec<_>>(), [&P::Created]);
    // Nobody can say which tags there are.
    assert!(found.tags.is_empty() && found.tags_are_unknown);
    assert_eq!(body("PUT /secrets/n", "[]"), Properties::default());
    let far = r#"{"attributes":{"exp":9223372036854775807}}"#;
    assert_eq!(body("PUT /secrets/n", far), Properties::default());
}

#[test]
fn a_new_key_is_what_the_body_says() {
    let found = body(
        "POST /keys/n/create",
        r#"{"kty":"rsa-hsm","key_size":4096,"key_ops":["sign","verify"],"public_exponent":65537,
            "attributes":{"exportable":true},"release_policy":{"data":"e30","immutable":true}}"#,
    );
    assert_has(
        &found,
        &[
            (P::KeyType, Some(spelling("rsa-hsm"))),
            (P::IsHsmBacked, Some(truth(true))),
            (P::KeySize, Some(number(4096))),
            (P::KeyOps, spellings(&["sign", "verify"])),
            (P::PublicExponent, Some(number(65_537))),
            (P::Exportable, Some(truth(true))),
            (P::HasReleasePolicy, Some(truth(true))),
            (P::ReleasePolicyImmutable, Some(truth(true))),
            (P::Curve, None),
        ],
    );
    let found = body("POST /keys/n/create", r#"{"kty":"EC","crv":"P-256"}"#);
    assert_has(
        &found,
        &[
            (P::Curve, Some(spelling("P-256"))),
            (P::IsHsmBacked, Some(truth(false))),
            (P::HasReleasePolicy, Some(truth(false))),
            (P::KeySize, None),
        ],
    );
}

#[test]
fn the_size_of_an_imported_key_is_that_of_its_numbers() {
    // 0x00 0x01 0x00: nine bits behind a leading zero.
    let found = body(
        "PUT /keys/n",
        r#"{"Hsm":true,"key":{"kty":"RSA","n":"AAEA","e":"AQAB"}}"#,
    );
    assert_has(
        &found,
        &[
            (P::KeySize, Some(number(9))),
            (P::PublicExponent, Some(number(65_537))),
            (P::IsHsmBacked, Some(truth(true))),
        ],
    );
    let found = body("PUT /keys/n", r#"{"key":{"kty":"oct-HSM","k":"AAECAw=="}}"#);
    assert_has(
        &found,
        &[
            (P::KeySize, Some(number(32))),
            (P::IsHsmBacked, Some(truth(true))),
        ],
    );
    let found = body(
        "PUT /keys/n",
        r#"{"Hsm":"no","key":{"kty":"EC","crv":"P-521","n":"AQ"}}"#,
    );
    assert_has(&found, &[(P::KeySize, None), (P::IsHsmBacked, None)]);
}

#[test]
fn operations_with_keys_name_their_algorithm_and_digest() {
    let found = body("POST /keys/n//sign", r#"{"alg":"ES256","value":"AAECAwQ"}"#);
    let signed = [
        (P::Algorithm, Some(spelling("ES256"))),
        (P::DigestLength, Some(number(5))),
    ];
    assert_has(&found, &signed);
    let found = body(
        "POST /keys/n//verify",
        r#"{"alg":"ES256","digest":"AAECAwQ","value":"AA"}"#,
    );
    assert_has(&found, &signed);
    let found = body("POST /keys/n//sign", r#"{"value":"not base64url!"}"#);
    assert_has(&found, &[(P::Algorithm, None), (P::DigestLength, None)]);
    let found = body(
        "POST /keys/n//release",
        r#"{"target":"eyJ.e30.","enc":"CKM_RSA_AES_KEY_WRAP"}"#,
    );
    assert_has(
        &found,
        &[
            (P::Algorithm, Some(spelling("CKM_RSA_AES_KEY_WRAP"))),
            (P::HasTargetAttestation, Some(truth(true))),
            (P::HasNonce, Some(truth(false))),
        ],
    );
}

#[test]
fn durations_are_days_only_if_they_are_whole_days() {
    for (text, days) in [
        ("P90D", Some(90)),
        ("P2W", Some(14)),
        ("P1W2D", Some(9)),
        ("P0D", Some(0)),
        ("P1M", None),
        ("P2Y", None),
        ("P1DT1H", None),
        ("-P1D", None),
        ("90", None),
        ("", None),
    ] {
        let policy = format!(r#"{{"attributes":{{"expiryTime":"{text}"}}}}"#);
        let found = body("PUT /keys/n/rotationpolicy", &policy);
        let days = days.map(number);
        assert_eq!(found.values.get(&P::ExpiryDays), days.as_ref(), "{text}");
        // It expires all the same.
        assert_eq!(
            found.unknown.contains(&P::ExpiryDays),
            days.is_none(),
            "{text}"
        );
    }
}

#[test]
fn a_rotation_policy_rotates_if_one_of_its_actions_does() {
    let rotates = |kinds: &[&str]| {
        let actions = kinds
            .iter()
            .map(|kind| format!(r#"{{"trigger":{{}},"action":{{"type":"{kind}"}}}}"#));
        let actions: Vec<_> = actions.collect();
        let policy = format!(r#"{{"lifetimeActions":[{}]}}"#, actions.join(","));
        let found = body("PUT /keys/n/rotationpolicy", &policy);
        found.values.get(&P::AutoRotate).cloned()
    };
    assert_eq!(rotates(&["Notify", "rotate"]), Some(truth(true)));
    assert_eq!(rotates(&["Notify"]), Some(truth(false)));
    let found = body("PUT /keys/n/rotationpolicy", "{}");
    assert_has(&found, &[(P::AutoRotate, None)]);
}

const POLICY: &str = r#"{"issuer":{"name":"Self","cty":"OV-SSL","cert_transparency":false},
    "key_props":{"kty":"RSA","key_size":2048,"exportable":true,"reuse_key":false},
    "secret_props":{"contentType":"application/x-pem-file"},
    "x509_props":{"subject":"CN=a","ekus":["1.3.6.1.5.5.7.3.1"],"key_usage":["digitalSignature"],
      "sans":{"dns_names":["a.example","b.example"],"emails":["a@b"]},"validity_months":12}}"#;

#[test]
fn a_certificate_is_wanted_by_its_policy() {
    let created = body(
        "POST /certificates/n/create",
        &format!(r#"{{"policy":{POLICY}}}"#),
    );
    let changed = body("PATCH /certificates/n/policy", POLICY);
    assert_eq!(created, changed);
    assert_has(
        &created,
        &[
            (P::IssuerName, Some(spelling("Self"))),
            (P::Subject, Some(words("CN=a"))),
            (P::DnsNames, spellings(&["a.example", "b.example"])),
            (P::KeySize, Some(number(2048))),
            (P::ValidityMonths, Some(number(12))),
            (P::Exportable, Some(truth(true))),
            (P::Emails, None),
        ],
    );
}

#[test]
fn answers_of_the_vault_are_read_with_their_id() {
    let item = r#"{"id":"https://kv/secrets/n/1","managed":true,"contentType":"x",
        "attributes":{"enabled":true,"created":1,"updated":2,
            "recoveryLevel":"Recoverable","recoverableDays":90},
        "tags":{"a":"b"},"deletedDate":3,"scheduledPurgeDate":4}"#;
    let item = json(item);
    let (found, id) = of_answer(ObjectType::Secret, &item);
    assert_eq!(id, Some("https://kv/secrets/n/1"));
    assert_has(
        &found,
        &[
            (P::Managed, Some(truth(true))),
            (P::Created, date(1)),
            (P::Updated, date(2)),
            (P::DeletedDate, date(3)),
            (P::ScheduledPurgeDate, date(4)),
            (P::RecoverableDays, Some(number(90))),
            (P::RecoveryLevel, Some(words("Recoverable"))),
        ],
    );
    let key = json(
        r#"{"key":{"kid":"https://kv/keys/n/1","kty":"RSA-HSM","n":"AQAB","e":"AQAB",
            "key_ops":["sign"]},"attributes":{"hsmPlatform":"2","key_size":3072}}"#,
    );
    let (found, id) = of_answer(ObjectType::Key, &key);
    assert_eq!(id, Some("https://kv/keys/n/1"));
    assert_has(
        &found,
        &[
            (P::KeySize, Some(number(3072))),
            (P::IsHsmBacked, Some(truth(true))),
            (P::HsmPlatform, Some(words("2"))),
            (P::HasExternalKey, Some(truth(false))),
            (P::Managed, Some(truth(false))),
        ],
    );
    let text = format!(r#"{{"id":"i","x5t":"_-8B","policy":{POLICY}}}"#);
    let found = answer(ObjectType::Certificate, &text);
    assert_has(
        &found,
        &[
            (P::Thumbprint, Some(words("FFEF01"))),
            (P::CertificateType, Some(words("OV-SSL"))),
            (P::CertificateTransparency, Some(truth(false))),
            (P::ReuseKey, Some(truth(false))),
            (P::KeyUsage, spellings(&["digitalSignature"])),
            (P::SecretContentType, Some(words("application/x-pem-file"))),
        ],
    );
}

fn imported(policy: &str, value: &str) -> Properties {
    let value = serde_json::to_string(value).unwrap();
    body(
        "POST /certificates/n/import",
        &format!(r#"{{"value":{value},"policy":{policy}}}"#),
    )
}

#[test]
fn an_imported_certificate_speaks_for_itself() {
    let mut params = rcgen::CertificateParams::new(["real.example".to_owned()]).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "real");
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let key = rcgen::KeyPair::generate().unwrap();
    let pem = params.self_signed(&key).unwrap().pem();
    let found = imported(POLICY, &format!("{}{pem}", key.serialize_pem()));
    let usage = Values::Many(vec![word("1.3.6.1.5.5.7.3.1")]);
    assert_has(
        &found,
        &[
            (P::Subject, Some(words("CN=real"))),
            (P::DnsNames, spellings(&["real.example"])),
            (P::ExtendedKeyUsage, Some(usage)),
            (P::Curve, Some(spelling("P-256"))),
            (P::IssuerName, Some(spelling("Self"))),
            (P::Exportable, Some(truth(true))),
            // The policy says RSA of an elliptic key.
            (P::KeyType, None),
        ],
    );
    let hsm = imported(r#"{"key_props":{"kty":"EC-HSM"}}"#, &pem);
    assert_has(&hsm, &[(P::KeyType, Some(spelling("EC-HSM")))]);
    let unknown = |found: &Properties| found.unknown.iter().copied().collect::<Vec<_>>();
    assert_eq!(unknown(&hsm), [P::ValidityMonths]);
    // An elliptic key has no size, which is known; what type of key the policy means is not.
    assert_eq!(unknown(&found), [P::KeyType, P::ValidityMonths]);
    // PKCS#12 cannot be looked into: whether there are names in it nobody can say.
    let closed = imported(POLICY, "MIIJagIBAzCCCRYGCSqGSIb3DQEHAaCCCQcEggkD");
    assert_has(&closed, &[(P::DnsNames, None)]);
    assert!(closed.unknown.contains(&P::DnsNames) && closed.unknown.contains(&P::Subject));
    // Two that are both no authority's: the vault may take either.
    let two = imported(POLICY, &format!("{pem}{pem}"));
    assert_has(&two, &[(P::Subject, None), (P::DnsNames, None)]);
    // PKCS#12 is not looked into, and the policy does not speak for it.
    let opaque = imported(POLICY, "MIIKYQIBAzCC");
    assert_has(&opaque, &[(P::Subject, None), (P::KeyType, None)]);
}

fn certificate(name: &str, is_ca: bool, key: &rcgen::KeyPair) -> String {
    let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    if is_ca {
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    }
    params.self_signed(key).unwrap().pem()
}

#[test]
fn of_several_certificates_the_one_with_the_key_speaks() {
    let (one, other) = (
        rcgen::KeyPair::generate().unwrap(),
        rcgen::KeyPair::generate().unwrap(),
    );
    let (leaf, authority) = (
        certificate("leaf", false, &one),
        certificate("authority", true, &other),
    );
    let (key, others_key) = (one.serialize_pem(), other.serialize_pem());
    let subject = |value: &str| imported(POLICY, value).values.remove(&P::Subject);
    let says_leaf = Some(words("CN=leaf"));
    assert_eq!(subject(&format!("{key}{leaf}{authority}")), says_leaf);
    assert_eq!(subject(&format!("{authority}{leaf}{key}")), says_leaf);
    let says_authority = Some(words("CN=authority"));
    assert_eq!(
        subject(&format!("{leaf}{authority}{others_key}")),
        says_authority
    );
    // Two have a key, nobody has, or one is there for readers of other labels only.
    let odd = authority.replace("CERTIFICATE", "X509 CERTIFICATE");
    let same_key = certificate("authority", true, &one);
    for value in [
        format!("{leaf}{authority}{key}{others_key}"),
        format!("{leaf}{authority}"),
        format!("{leaf}{same_key}{key}"),
        format!("{leaf}{odd}{key}"),
        format!("{odd}{leaf}"),
    ] {
        assert_eq!(subject(&value), None, "{value}");
    }
}
