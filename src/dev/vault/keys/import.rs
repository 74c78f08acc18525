//! Importing a key: a JWK with its private parts.

use aws_lc_rs::rsa::{KeyPairComponents, PublicKeyComponents};
use base64::Engine as _;
use serde::Deserialize;

use crate::dev::vault::body::{self, AttributesBody, check_tags};
use crate::dev::vault::crypto::{Curve, Material};
use crate::dev::vault::failure::Failure;
use crate::dev::vault::objects::Answer;
use crate::dev::vault::shelf::{Tags, Version};
use crate::dev::vault::store::Store;

use super::release::ReleaseBody;
use super::{BASE64URL, HARDWARE, Key, KeyOperation, Wanted, all_operations};

#[derive(Deserialize)]
struct ImportBody {
    key: PrivateJwk,
    #[serde(rename = "Hsm")]
    hardware: Option<bool>,
    tags: Option<Tags>,
    attributes: Option<AttributesBody>,
    release_policy: Option<ReleaseBody>,
}

/// SECURITY: no `Debug`.
#[derive(Deserialize)]
struct PrivateJwk {
    kty: Box<str>,
    key_ops: Option<Vec<KeyOperation>>,
    crv: Option<Box<str>>,
    n: Option<Box<str>>,
    e: Option<Box<str>>,
    d: Option<Box<str>>,
    p: Option<Box<str>>,
    q: Option<Box<str>>,
    dp: Option<Box<str>>,
    dq: Option<Box<str>>,
    qi: Option<Box<str>>,
    x: Option<Box<str>>,
    y: Option<Box<str>>,
}

impl PrivateJwk {
    fn material(&self) -> Result<Material, Failure> {
        match self.kty.strip_suffix(HARDWARE).unwrap_or(&self.kty) {
            "RSA" => self.rsa(),
            "EC" => self.ec(),
            _ => Err(Failure::key_type(&self.kty)),
        }
    }

    fn rsa(&self) -> Result<Material, Failure> {
        let components = KeyPairComponents {
            public_key: PublicKeyComponents {
                n: trimmed(integer("n", self.n.as_deref())?),
                e: trimmed(integer("e", self.e.as_deref())?),
            },
            d: integer("d", self.d.as_deref())?,
            p: integer("p", self.p.as_deref())?,
            q: integer("q", self.q.as_deref())?,
            dP: integer("dp", self.dp.as_deref())?,
            dQ: integer("dq", self.dq.as_deref())?,
            qInv: integer("qi", self.qi.as_deref())?,
        };
        Ok(Material::from_rsa(&components)?)
    }

    fn ec(&self) -> Result<Material, Failure> {
        let curve = self.crv.as_deref().and_then(Curve::named).ok_or_else(|| {
            Failure::bad_parameter("The property 'key.crv' is not a known curve.")
        })?;
        let scalar = |name, text| padded(curve, integer(name, text)?);
        let d = scalar("d", self.d.as_deref())?;
        let x = scalar("x", self.x.as_deref())?;
        let y = scalar("y", self.y.as_deref())?;
        Ok(Material::from_ec(curve, &d, &x, &y)?)
    }
}

impl Store {
    /// `PUT /keys/{name}`: a new version.
    pub(in crate::dev::vault) fn import_key(
        &self,
        name: &str,
        body: &[u8],
        now: i64,
    ) -> Result<Answer, Failure> {
        let body: ImportBody = body::read(body)?;
        check_tags(body.tags.as_ref())?;
        let material = body.key.material()?;
        let operations = body.key.key_ops;
        let wanted = Wanted {
            operations: match operations {
                Some(operations) => operations,
                None => all_operations(material.kind()?),
            },
            hardware: body.hardware == Some(true) || body.key.kty.ends_with(HARDWARE),
            attributes: body.attributes.unwrap_or_default(),
            release_policy: body.release_policy,
        };
        let (attributes, traits) = {
            let shelf = self.shelf::<Key>(now);
            shelf.check_unmanaged(name, "import")?;
            wanted.granted(shelf.object(name).ok(), now)?
        };
        let key = Key::new(material, traits)?;
        self.add_key(name, Version::new(attributes, body.tags, key), now)
    }
}

/// Reads a base64url integer.
fn integer(name: &str, text: Option<&str>) -> Result<Vec<u8>, Failure> {
    text.and_then(|text| BASE64URL.decode(text).ok())
        .ok_or_else(|| {
            Failure::bad_parameter(format!(
                "The property 'key.{name}' must be an integer in base64url."
            ))
        })
}

/// Without leading zeros.
fn trimmed(bytes: Vec<u8>) -> Vec<u8> {
    bytes.into_iter().skip_while(|byte| *byte == 0).collect()
}

/// In the curve's length.
fn padded(curve: Curve, bytes: Vec<u8>) -> Result<Vec<u8>, Failure> {
    let bytes = trimmed(bytes);
    let missing = curve
        .coordinate_bytes()
        .checked_sub(bytes.len())
        .ok_or_else(|| {
            Failure::bad_parameter("A property of the key is too long for its curve.")
        })?;
    let mut padded = vec![0; missing];
    padded.extend(bytes);
    Ok(padded)
}
