//! Rotation: new versions by hand, and when a policy says it is time.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::dev::vault::body;
use crate::dev::vault::crypto::Kind;
use crate::dev::vault::failure::Failure;
use crate::dev::vault::objects::Answer;
use crate::dev::vault::shelf::{Attributes, Object, Tags, Version};
use crate::dev::vault::store::Store;

use super::period::Period;
use super::{Key, Traits};

const DAY: i64 = 24 * 3600;
/// Azure: how long a key must be valid, at least.
const MIN_EXPIRY: i64 = 28 * DAY;
/// Azure: how long after a key is made, and how long before it expires, it can be rotated.
/// <https://learn.microsoft.com/azure/key-vault/keys/how-to-configure-key-rotation>
const MIN_TRIGGER: i64 = 7 * DAY;
/// Azure: when an event tells of a key that expires, unless the policy says otherwise. Nothing
/// here sends events.
const NOTIFY: &str = "P30D";

/// When a key is rotated, and how long its versions are valid.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct RotationPolicy {
    expiry: Option<Period>,
    rotate: Option<Trigger>,
    notify: Option<Period>,
    created: i64,
    updated: i64,
}

/// When something is done to a version.
#[derive(Clone, Debug, Deserialize, Serialize)]
enum Trigger {
    AfterCreate(Period),
    BeforeExpiry(Period),
}

#[derive(Deserialize)]
struct PolicyBody {
    #[serde(rename = "lifetimeActions")]
    lifetime_actions: Option<Vec<LifetimeAction>>,
    attributes: Option<PolicyAttributes>,
}

#[derive(Deserialize)]
struct LifetimeAction {
    trigger: TriggerBody,
    action: ActionBody,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TriggerBody {
    time_after_create: Option<String>,
    time_before_expiry: Option<String>,
}

#[derive(Deserialize)]
struct ActionBody {
    #[serde(rename = "type")]
    kind: Box<str>,
}

#[derive(Default, Deserialize)]
struct PolicyAttributes {
    #[serde(rename = "expiryTime")]
    expiry_time: Option<String>,
}

impl Trigger {
    fn read(body: TriggerBody) -> Result<Self, Failure> {
        match (body.time_after_create, body.time_before_expiry) {
            (Some(text), None) => Period::read("timeAfterCreate", text).map(Self::AfterCreate),
            (None, Some(text)) => Period::read("timeBeforeExpiry", text).map(Self::BeforeExpiry),
            (Some(_), Some(_)) | (None, None) => Err(Failure::bad_parameter(
                "A trigger must have one of 'timeAfterCreate' and 'timeBeforeExpiry'.",
            )),
        }
    }

    fn render(&self) -> Value {
        match self {
            Self::AfterCreate(period) => json!({ "timeAfterCreate": period.text() }),
            Self::BeforeExpiry(period) => json!({ "timeBeforeExpiry": period.text() }),
        }
    }

    /// When it is time for a version; `None` if it never is.
    fn due(&self, version: &Attributes) -> Option<i64> {
        match self {
            Self::AfterCreate(period) => Some(period.after(version.created)),
            Self::BeforeExpiry(period) => version.expires.map(|expires| period.before(expires)),
        }
    }

    /// The rules for when a key is rotated that is made at `now` and expires at `expires`.
    fn check_rotate(&self, now: i64, expires: Option<i64>) -> Result<(), Failure> {
        let refuse = |message: &str| Err(Failure::bad_parameter(message));
        let due = match (self, expires) {
            (Self::AfterCreate(period), _) => period.after(now),
            (Self::BeforeExpiry(period), Some(expires)) => period.before(expires),
            (Self::BeforeExpiry(_), None) => {
                return refuse("A rotation before expiry needs the property 'expiryTime'.");
            }
        };
        if due < now.saturating_add(MIN_TRIGGER) {
            return refuse("A key is rotated no sooner than 7 days after it is made.");
        }
        if expires.is_some_and(|expires| expires.saturating_sub(MIN_TRIGGER) < due) {
            return refuse("A key is rotated no later than 7 days before it expires.");
        }
        Ok(())
    }
}

impl RotationPolicy {
    /// The policy of a key that was given none.
    const fn unset(now: i64) -> Self {
        Self {
            expiry: None,
            rotate: None,
            notify: None,
            created: now,
            updated: now,
        }
    }

    /// Reads and checks a policy.
    fn read(body: PolicyBody, now: i64) -> Result<Self, Failure> {
        let mut policy = Self::unset(now);
        if let Some(text) = body.attributes.unwrap_or_default().expiry_time {
            let expiry = Period::read("expiryTime", text)?;
            if expiry.after(now) < now.saturating_add(MIN_EXPIRY) {
                return Err(Failure::bad_parameter(
                    "The property 'expiryTime' must be at least 28 days.",
                ));
            }
            policy.expiry = Some(expiry);
        }
        for action in body.lifetime_actions.unwrap_or_default() {
            policy.add(action, now)?;
        }
        Ok(policy)
    }

    /// Azure: one action to rotate and one to notify, at most; notifying is before expiry.
    fn add(&mut self, action: LifetimeAction, now: i64) -> Result<(), Failure> {
        let trigger = Trigger::read(action.trigger)?;
        let kind = action.action.kind;
        if kind.eq_ignore_ascii_case("rotate") && self.rotate.is_none() {
            let expires = self.expiry.as_ref().map(|expiry| expiry.after(now));
            trigger.check_rotate(now, expires)?;
            self.rotate = Some(trigger);
            return Ok(());
        }
        match trigger {
            Trigger::BeforeExpiry(period)
                if kind.eq_ignore_ascii_case("notify") && self.notify.is_none() =>
            {
                self.notify = Some(period);
                Ok(())
            }
            Trigger::AfterCreate(_) | Trigger::BeforeExpiry(_) => Err(Failure::bad_parameter(
                "The property 'lifetimeActions' has at most one 'Rotate' and one 'Notify' before \
                 expiry.",
            )),
        }
    }

    /// Azure: there is always an action to notify, whether it was asked for or not.
    fn render(&self, id: &str) -> Value {
        let rotate = self
            .rotate
            .iter()
            .map(|trigger| json!({ "trigger": trigger.render(), "action": { "type": "Rotate" } }));
        let notify = self.notify.as_ref().map_or(NOTIFY, Period::text);
        let notify = json!({
            "trigger": { "timeBeforeExpiry": notify }, "action": { "type": "Notify" },
        });
        let mut attributes = json!({ "created": self.created, "updated": self.updated });
        if let (Some(expiry), Some(attributes)) = (&self.expiry, attributes.as_object_mut()) {
            attributes.insert("expiryTime".to_owned(), expiry.text().into());
        }
        json!({
            "id": id,
            "lifetimeActions": rotate.chain([notify]).collect::<Vec<_>>(),
            "attributes": attributes,
        })
    }
}

/// A rotation to be done.
struct Rotation {
    /// The version that is followed, and must still be the latest.
    follows: Box<str>,
    /// When the new version is made.
    at: i64,
    expires: Option<i64>,
    kind: Kind,
    exportable: Option<bool>,
    tags: Option<Tags>,
    traits: Traits,
}

impl Rotation {
    /// What rotating `object` at `at` means.
    ///
    /// Azure: the new version is like the one before it, and valid for as long as the policy says.
    fn of(object: &Object<Key>, at: i64) -> Result<Self, Failure> {
        let latest = &object.latest;
        let policy = object.policies.rotation.as_ref();
        let expiry = policy.and_then(|policy| policy.expiry.as_ref());
        Ok(Self {
            follows: latest.id.clone(),
            at,
            expires: expiry.map(|expiry| expiry.after(at)),
            kind: latest.content.material.kind()?,
            exportable: latest.attributes.exportable,
            tags: latest.tags.clone(),
            traits: latest.content.traits.clone(),
        })
    }

    /// The rotation that is overdue at `now`, as of when it was due.
    fn due(object: &Object<Key>, now: i64) -> Option<Self> {
        let policy = object.policies.rotation.as_ref()?;
        let due = policy.rotate.as_ref()?.due(&object.latest.attributes)?;
        // A policy does nothing before it is there.
        let at = due.max(policy.updated);
        (at <= now).then(|| Self::of(object, at).ok()).flatten()
    }
}

impl Store {
    /// `GET /keys/{name}/rotationpolicy`.
    pub(in crate::dev::vault) fn rotation_policy(
        &self,
        name: &str,
        now: i64,
    ) -> Result<Answer, Failure> {
        let shelf = self.shelf::<Key>(now);
        let object = shelf.object(name)?;
        Ok(Answer::Json(self.shown_policy(object)))
    }

    /// `PUT /keys/{name}/rotationpolicy`.
    pub(in crate::dev::vault) fn set_rotation_policy(
        &self,
        name: &str,
        body: &[u8],
        now: i64,
    ) -> Result<Answer, Failure> {
        let policy = RotationPolicy::read(body::read(body)?, now)?;
        let mut shelf = self.shelf::<Key>(now);
        shelf.check_unmanaged(name, "setrotationpolicy")?;
        let object = shelf.object_mut(name)?;
        let before = object.policies.rotation.as_ref();
        let created = before.map_or(policy.created, |before| before.created);
        object.policies.rotation = Some(RotationPolicy { created, ..policy });
        Ok(Answer::Json(self.shown_policy(object)))
    }

    fn shown_policy(&self, object: &Object<Key>) -> Value {
        let id = format!("{}/rotationpolicy", self.id::<Key>(&object.name));
        match &object.policies.rotation {
            Some(policy) => policy.render(&id),
            None => {
                let mut shown = RotationPolicy::unset(0).render(&id);
                if let Some(shown) = shown.as_object_mut() {
                    shown.insert("attributes".to_owned(), json!({}));
                }
                shown
            }
        }
    }

    /// `POST /keys/{name}/rotate`: a new version, with or without a policy.
    pub(in crate::dev::vault) async fn rotate_key(
        &self,
        name: &str,
        now: i64,
    ) -> Result<Answer, Failure> {
        let rotation = {
            let shelf = self.shelf::<Key>(now);
            shelf.check_unmanaged(name, "rotate")?;
            Rotation::of(shelf.object(name)?, now)?
        };
        let version = self.rotated(rotation).await?;
        self.add_key(name, version, now)
    }

    /// Rotates every key whose time has come, as often as it has. A key that cannot be rotated
    /// stays as it is.
    pub(in crate::dev::vault) async fn rotate_due(&self, now: i64) {
        let due: Vec<Box<str>> = {
            let shelf = self.shelf::<Key>(now);
            shelf
                .live_after(None)
                .filter(|(_, object)| Rotation::due(object, now).is_some())
                .map(|(key, _)| key.into())
                .collect()
        };
        for name in due {
            while let Some(rotation) = self.next_rotation(&name, now) {
                let follows = rotation.follows.clone();
                let Ok(version) = self.rotated(rotation).await else {
                    break;
                };
                // Another request may have been quicker.
                let mut shelf = self.shelf::<Key>(now);
                let latest = shelf.object(&name).map(|object| &object.latest.id);
                if latest.is_ok_and(|latest| *latest == follows)
                    && shelf.add(&name, version).is_err()
                {
                    break;
                }
            }
        }
    }

    fn next_rotation(&self, name: &str, now: i64) -> Option<Rotation> {
        let shelf = self.shelf::<Key>(now);
        Rotation::due(shelf.object(name).ok()?, now)
    }

    async fn rotated(&self, rotation: Rotation) -> Result<Version<Key>, Failure> {
        let attributes = Attributes {
            enabled: true,
            not_before: None,
            expires: rotation.expires,
            created: rotation.at,
            updated: rotation.at,
            exportable: rotation.exportable,
        };
        let key = Key::new(self.generate(rotation.kind).await?, rotation.traits)?;
        Ok(Version::new(attributes, rotation.tags, key))
    }
}
