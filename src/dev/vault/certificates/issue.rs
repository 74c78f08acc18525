//! Issuing: a new version with its key and its secret, by hand or because it is time.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::dev::vault::body::AttributesBody;
use crate::dev::vault::crypto::Material;
use crate::dev::vault::failure::Failure;
use crate::dev::vault::keys::{Key, Traits};
use crate::dev::vault::secrets::{OfCertificate, Secret};
use crate::dev::vault::shelf::{Attributes, Content as _, Shelf, Tags, Version};
use crate::dev::vault::store::{Shelved, Store};

use super::policy::{PEM, Policy};
use super::reading;
use super::x509::{self, Dates};
use super::{Certificate, IssuedBackup, export, linked_id};

/// A certificate that was issued, with its key.
pub(super) struct Issued {
    /// In the order of the secret, DER.
    chain: Vec<Vec<u8>>,
    /// Which of the chain it is.
    leaf: usize,
    pub(super) key: Key,
    dates: Dates,
    /// What the secret holds.
    value: Box<str>,
    content_type: Box<str>,
    /// The value as PEM, if it is something else.
    pem: Option<Box<str>>,
}

impl Issued {
    /// `leaf` says which of `chain` belongs to `key`.
    pub(super) fn new(
        key: Key,
        chain: Vec<Vec<u8>>,
        leaf: usize,
        policy: &Policy,
    ) -> Result<Self, Failure> {
        let der = chain.get(leaf).ok_or_else(Failure::internal)?;
        let dates = Dates::of(&reading::parse(der).ok_or_else(Failure::internal)?);
        let exported = policy.key_props.exportable.then(|| key.material());
        let private = exported.map(Material::to_pkcs8).transpose()?;
        let pem = export::pem(&chain, private.as_deref())?;
        let content_type = policy.secret_props.content_type.clone();
        let (value, pem) = if &*content_type == PEM {
            (pem, None)
        } else {
            (export::pkcs12(&chain, private.as_deref())?, Some(pem))
        };
        Ok(Self {
            chain,
            leaf,
            key,
            dates,
            value: value.into(),
            content_type,
            pem: pem.map(Into::into),
        })
    }

    /// A certificate that `key` signs for itself.
    pub(super) fn self_signed(key: Key, policy: &Policy, now: i64) -> Result<Self, Failure> {
        let dates = Dates::new(now, policy.x509_props.validity_months)?;
        let der = x509::self_signed(key.material(), &policy.x509_props, dates)?;
        Self::new(key, vec![der], 0, policy)
    }

    /// The certificate itself, DER.
    pub(super) fn leaf(&self) -> &[u8] {
        self.chain.get(self.leaf).map_or(&[], Vec::as_slice)
    }

    pub(super) fn to_backup(&self) -> Result<IssuedBackup, Failure> {
        Ok(IssuedBackup {
            chain: self.chain.iter().map(|der| STANDARD.encode(der)).collect(),
            leaf: self.leaf,
            key: self.key.to_backup()?,
        })
    }

    pub(super) fn from_backup(backup: IssuedBackup, policy: &Policy) -> Result<Self, Failure> {
        let key = Key::from_backup(backup.key)?;
        let chain = backup.chain.iter().map(|text| STANDARD.decode(text));
        let chain = chain
            .collect::<Result<_, _>>()
            .map_err(|_| Failure::internal())?;
        Self::new(key, chain, backup.leaf, policy)
    }
}

/// A key that a certificate with this policy owns.
pub(super) fn owned_key(material: Material, policy: &Policy) -> Result<Key, Failure> {
    let traits = Traits {
        operations: policy.operations(),
        hardware: policy.key_props.is_hardware(),
        managed: true,
        release_policy: None,
    };
    Key::new(material, traits)
}

/// What a new version is to be besides its content.
#[derive(Clone)]
pub(super) struct Wanted {
    pub(super) enabled: bool,
    pub(super) tags: Option<Tags>,
    pub(super) preserve_order: Option<bool>,
}

impl Wanted {
    pub(super) fn new(
        attributes: Option<AttributesBody>,
        tags: Option<Tags>,
        preserve_order: Option<bool>,
    ) -> Self {
        let enabled = attributes.and_then(|attributes| attributes.enabled());
        Self {
            enabled: enabled.unwrap_or(true),
            tags,
            preserve_order,
        }
    }
}

impl Store {
    /// Adds a version to a certificate, to its key and to its secret. It takes the place of the
    /// version that was in the making, if that was the first.
    pub(super) fn publish(
        &self,
        shelf: &mut Shelf<Certificate>,
        name: &str,
        issued: Arc<Issued>,
        (policy, wanted): (Arc<Policy>, Wanted),
        now: i64,
    ) -> Result<(), Failure> {
        let attributes = attributes(wanted.enabled, issued.dates, now)?;
        let content = Certificate {
            policy: Arc::clone(&policy),
            issued: Some(issued),
            pending: None,
            preserve_order: wanted.preserve_order,
        };
        let mut version = Version::new(attributes, wanted.tags, content);
        if let Ok(object) = shelf.object_mut(name) {
            super::set_policy(object, &policy);
            version.content.pending = object.latest.content.pending.take();
            if object.latest.content.issued.is_none() {
                object.latest = version;
                return self.add_linked(&object.name, &object.latest, now);
            }
        }
        let object = shelf.add(name, version)?;
        self.add_linked(&object.name, &object.latest, now)
    }

    /// Adds the key and the secret of a certificate's version.
    pub(super) fn add_linked(
        &self,
        name: &str,
        version: &Version<Certificate>,
        now: i64,
    ) -> Result<(), Failure> {
        let Some(issued) = &version.content.issued else {
            return Ok(());
        };
        let kid = linked_id(&self.versioned_id::<Certificate>(name, &version.id), "keys");
        let secret = Secret {
            value: issued.value.clone(),
            content_type: Some(issued.content_type.clone()),
            certificate: Some(OfCertificate {
                kid: kid.into(),
                pem: issued.pem.clone(),
            }),
        };
        let key = version.with(issued.key.clone());
        self.shelf::<Key>(now).add(name, key)?;
        self.shelf::<Secret>(now).add(name, version.with(secret))?;
        Ok(())
    }

    /// Refuses a name that a key or secret has which is not this certificate's own.
    pub(super) fn check_names_free(&self, name: &str, now: i64) -> Result<(), Failure> {
        self.check_name_free::<Key>(name, now)?;
        self.check_name_free::<Secret>(name, now)
    }

    fn check_name_free<C: Shelved>(&self, name: &str, now: i64) -> Result<(), Failure> {
        let shelf = self.shelf::<C>(now);
        shelf.check_free(name)?;
        match shelf.object(name) {
            Ok(object) if !object.latest.content.is_managed() => {
                Err(Failure::already_exists(&self.id::<C>(name)))
            }
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// Does what is due: what is in the making is finished when its time has come, and what ends
    /// soon is renewed if its policy says so.
    ///
    /// What cannot be renewed, because there is no room, stays as it is.
    pub(in crate::dev::vault) async fn certificates_due(&self, now: i64) {
        for (name, policy, key) in self.finish_due(now) {
            let key = match key {
                Some(key) => Ok(key),
                None => self.new_key(&policy).await,
            };
            let issued = key.and_then(|key| Issued::self_signed(key, &policy, now));
            if let Ok(issued) = issued {
                self.renew(&name, &policy, issued, now);
            }
        }
    }

    /// Makes a key as the policy wants it.
    pub(super) async fn new_key(&self, policy: &Policy) -> Result<Key, Failure> {
        owned_key(self.generate(policy.kind()?).await?, policy)
    }

    /// Finishes what is pending and due; returns what is to be renewed, with the key if it stays.
    fn finish_due(&self, now: i64) -> Vec<(Box<str>, Arc<Policy>, Option<Key>)> {
        let mut shelf = self.shelf::<Certificate>(now);
        let pending = shelf.live_after(None).filter(|(_, object)| {
            let pending = object.latest.content.pending.as_ref();
            pending.is_some_and(|pending| pending.is_due(now))
        });
        let pending: Vec<_> = pending.map(|(_, object)| object.name.clone()).collect();
        for name in pending {
            // Refused only for want of room; then it stays in progress.
            let _ = self.finish(&mut shelf, &name, now);
        }
        let due = shelf.live_after(None).filter_map(|(_, object)| {
            let content = &object.latest.content;
            let issued = content.issued.as_ref()?;
            let Dates { start, end } = issued.dates;
            let due = content.policy.renewed_at(start, end)? <= now;
            let key = content
                .policy
                .key_props
                .reuse_key
                .then(|| issued.key.clone());
            due.then(|| (object.name.clone(), Arc::clone(&content.policy), key))
        });
        due.collect()
    }

    fn renew(&self, name: &str, policy: &Arc<Policy>, issued: Issued, now: i64) {
        let mut shelf = self.shelf::<Certificate>(now);
        let Ok((_, latest)) = shelf.version(name, None) else {
            return;
        };
        let dates = latest.content.issued.as_ref().map(|issued| issued.dates);
        let due = dates.and_then(|Dates { start, end }| policy.renewed_at(start, end));
        // Another request may have been quicker.
        if due.is_some_and(|due| due <= now) {
            let wanted = Wanted {
                enabled: latest.attributes.enabled,
                tags: latest.tags.clone(),
                preserve_order: latest.content.preserve_order,
            };
            let policy = Arc::clone(policy);
            let _ = self.publish(&mut shelf, name, Arc::new(issued), (policy, wanted), now);
        }
    }
}

/// The attributes of a version with a certificate's dates.
pub(super) fn attributes(enabled: bool, dates: Dates, now: i64) -> Result<Attributes, Failure> {
    let mut attributes = AttributesBody::default().new_version(now)?;
    attributes.enabled = enabled;
    attributes.not_before = Some(dates.start);
    attributes.expires = Some(dates.end);
    Ok(attributes)
}
