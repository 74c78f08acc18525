//! Properties of keys, secrets and certificates.

macro_rules! properties {
    ($($property:ident: $meaning:literal;)+) => {
        /// A property of a key, secret or certificate, in a body or in the vault's metadata.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Property {
            $(#[doc = $meaning] $property,)+
        }

        impl Property {
            /// Every property, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$property),+];

            /// What it is, in a few words.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$property => $meaning,)+ }
            }
        }
    };
}

properties! {
    Enabled:                 "`attributes.enabled`";
    Expires:                 "`attributes.exp`";
    NotBefore:               "`attributes.nbf`";
    Created:                 "`attributes.created`";
    Updated:                 "`attributes.updated`";
    ContentType:             "`contentType` of a secret";
    Managed:                 "`managed`: whether it belongs to a certificate; absent means false";
    RecoveryLevel:           "`attributes.recoveryLevel`";
    RecoverableDays:         "`attributes.recoverableDays`";
    ScheduledPurgeDate:      "`scheduledPurgeDate` of a deleted object";
    DeletedDate:             "`deletedDate` of a deleted object";
    KeyType:                 "`kty`: `EC`, `EC-HSM`, `RSA`, `RSA-HSM`, `oct`, `oct-HSM`";
    IsHsmBacked:             "whether the key is kept in an HSM";
    HsmPlatform:             "`attributes.hsmPlatform`";
    KeySize:                 "the size of an RSA or symmetric key, in bits";
    Curve:                   "`crv`: `P-256`, `P-384`, `P-521`, `P-256K`";
    KeyOps:                  "`key_ops`: what the key may be used for";
    Exportable:              "`exportable`";
    HasReleasePolicy:        "whether there is a release policy";
    ReleasePolicyImmutable:  "`release_policy.immutable`";
    HasExternalKey:          "whether the key is kept outside Azure";
    IssuerName:              "`issuer.name` of a certificate's policy";
    CertificateTransparency: "`issuer.cert_transparency`";
    CertificateType:         "`issuer.cty`";
    Subject:                 "the subject's distinguished name";
    DnsNames:                "DNS names among the subject's alternative names";
    Emails:                  "e-mail addresses among them";
    IpAddresses:             "IP addresses among them";
    Uris:                    "URIs among them";
    ExtendedKeyUsage:        "object identifiers of extended key usage";
    KeyUsage:                "key usage";
    ValidityMonths:          "how many months a certificate is good";
    ReuseKey:                "whether a renewed certificate keeps its key";
    SecretContentType:       "the media type of a certificate's secret";
    Thumbprint:              "SHA-1 of a certificate, in upper-case hexadecimal";
    ValueLength:             "how many characters the value of a secret has; the value itself is never an attribute";
    PublicExponent:          "the public exponent of an RSA key";
    Algorithm:               "`alg`, of a release `enc`, in JOSE's spelling";
    DigestLength:            "how many bytes a digest to sign or to verify has";
    HasNonce:                "whether there is a nonce";
    HasTargetAttestation:    "whether there is an attestation of the target";
    ExpiryDays:              "`attributes.expiryTime` of a rotation policy, if it is whole days";
    AutoRotate:              "whether a rotation policy rotates the key by itself";
}

impl Property {
    /// Whether its values are names that the vault may read without regard to case.
    pub const fn is_name(self) -> bool {
        matches!(
            self,
            Self::Algorithm
                | Self::Curve
                | Self::DnsNames
                | Self::IssuerName
                | Self::KeyOps
                | Self::KeyType
                | Self::KeyUsage
        )
    }
}
