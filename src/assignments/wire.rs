//! The bytes of one export -> values of [`crate::rbac`], strictly.
//!
//! Known are the lists of `az`, of Azure PowerShell's `ConvertTo-Json` and of Azure Resource
//! Manager itself, for role assignments, role definitions, deny assignments and PIM schedule
//! instances, and a groups file. What a file holds is told by each entry, not by the file's name,
//! and one file may hold several kinds.
//!
//! Pure: no file is opened here. Unknown fields are accepted everywhere, `null` is missing, a
//! missing list is empty, one object may stand for a list of one, case of names does not matter.
//! An entry that cannot be read is an error of the file and is never left out: an assignment left
//! out would be noticed, a deny assignment left out would not.
//!
//! Not known here: whether files agree with one another ([`super::load`] does), and what
//! conditions mean.

mod deny;
mod error;
mod fields;
mod groups;
mod kind;
mod role_assignment;
mod role_definition;
mod schedule;
mod stream;
mod text;
mod time;

use std::collections::{BTreeSet, HashMap};
use std::fmt;

use crate::principal::{Keyed, ObjectId};
use crate::rbac::{
    ConditionText, DenyAssignment, Permission, RoleAssignment, ScheduleInstance, Scope,
};

pub use crate::json::JsonError;
pub use error::{EntryError, Place, WireError, WireErrors};
pub use kind::Kind;
pub use role_definition::ParsedDefinition;
pub use text::{TextError, decode};

use crate::json::{Members, Tree, shorten};
use fields::{Fields, member};

/// The largest file that is read. An assignment takes about 1 KiB, and Azure allows 4000 in a
/// subscription.
pub const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// What one file holds, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// Role assignments.
    pub role_assignments: Vec<RoleAssignment>,
    /// Role definitions that have an id.
    pub role_definitions: Vec<ParsedDefinition>,
    /// Deny assignments.
    pub deny_assignments: Vec<DenyAssignment>,
    /// Role assignment schedule instances.
    pub schedule_instances: Vec<ScheduleInstance>,
    /// How many role eligibility schedule instances were passed over: they grant nothing.
    pub eligibility_skipped: usize,
    /// Transitive groups by principal, sorted and each once.
    pub groups: Vec<(ObjectId, Vec<ObjectId>)>,
    /// What an operator should know, though the file can be used.
    pub notes: Vec<Note>,
}

/// Something odd in a file that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// Every role assignment's principal is of type `Unknown`, as when the exporting user may not
    /// read the directory. They grant nothing.
    AllPrincipalsUnknown,
    /// A condition is empty, or only its version is there; it counts as one that nobody can read.
    ConditionLost {
        /// What has it.
        kind: Kind,
        /// The entry.
        name: Box<str>,
    },
    /// A role definition has no id, as in the input of `az role definition create`, so no
    /// assignment can refer to it.
    DefinitionWithoutId(Box<str>),
    /// A page says that more follow, and they are not in this file.
    MorePages(Kind),
    /// A data action pattern begins or ends with white space, which is ignored.
    SpacedPattern {
        /// What has it.
        kind: Kind,
        /// The entry.
        name: Box<str>,
    },
    /// A schedule instance has a status that Azure does not document; it counts as ended.
    UnknownStatus(Box<str>),
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AllPrincipalsUnknown => f.write_str(
                "every role assignment has `ObjectType` `Unknown`, so none grants; export as a user who may read the directory",
            ),
            Self::ConditionLost { kind, name } => {
                write!(f, "{kind} `{name}` has a condition without text")
            }
            Self::DefinitionWithoutId(name) => write!(
                f,
                "role definition `{name}` has no id, so no assignment can refer to it; use `az role definition list`"
            ),
            Self::MorePages(kind) => write!(
                f,
                "a `nextLink` says that more {kind}s follow; make sure that they are loaded too"
            ),
            Self::SpacedPattern { kind, name } => write!(
                f,
                "{kind} `{name}` has a data action pattern with white space around it, which is ignored"
            ),
            Self::UnknownStatus(name) => write!(
                f,
                "role assignment schedule instance `{name}` has an unknown status and counts as ended"
            ),
        }
    }
}

/// Reads one file: UTF-8 or UTF-16LE, with or without a byte order mark.
///
/// # Errors
/// All that is wrong with the file. Nothing of a file with an error can be used.
pub fn parse(bytes: &[u8]) -> Result<Parsed, WireErrors> {
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > MAX_FILE_BYTES {
        return Err(WireError::TooLarge.into());
    }
    let text = decode(bytes).map_err(WireError::from)?;
    let mut reader = Reader::default();
    if stream::read(&text, &mut reader).is_err() {
        reader = Reader::default();
        let json = Tree::parse(&text).map_err(WireError::from)?;
        reader.document(&json);
    }
    reader.finish()
}

/// What a page holds, and whether it says that more follow.
#[derive(Default)]
struct Page {
    kinds: BTreeSet<Kind>,
    more: bool,
}

impl Page {
    /// A page with entries of these kinds, by its object.
    fn of(mut kinds: BTreeSet<Kind>, object: &Members<'_>) -> Self {
        let link = ["nextLink", "@odata.nextLink"].map(|name| member(object, name));
        let more = link.iter().any(|link| !matches!(link, Ok(None)));
        for link in link.into_iter().flatten().flatten() {
            if let Tree::String(url) = link {
                kinds.extend(Kind::of_listing(url));
            }
        }
        Self { kinds, more }
    }
}

/// Gathers values and errors.
#[derive(Default)]
struct Reader {
    parsed: Parsed,
    errors: WireErrors,
    scopes: Scopes,
}

/// The scopes of role assignments that were read, by how the file writes them: a file names the
/// same places over and over.
#[derive(Default)]
struct Scopes(HashMap<Box<str>, Scope, Keyed>);

impl Scopes {
    fn read(&mut self, fields: &Fields<'_>) -> Result<Scope, EntryError> {
        let text = fields.text("scope")?.unwrap_or_default();
        if let Some(known) = self.0.get(text) {
            return Ok(known.clone());
        }
        let scope = fields.scope()?;
        self.0.insert(text.into(), scope.clone());
        Ok(scope)
    }
}

impl Reader {
    fn finish(mut self) -> Result<Parsed, WireErrors> {
        if !self.errors.is_empty() {
            return Err(self.errors);
        }
        let assignments = &self.parsed.role_assignments;
        // One deleted principal alone says nothing about the exporting user.
        if assignments.len() > 1 && assignments.iter().all(|one| one.principal_deleted) {
            self.parsed.notes.push(Note::AllPrincipalsUnknown);
        }
        Ok(self.parsed)
    }

    fn document(&mut self, json: &Tree<'_>) {
        match json {
            Tree::Array(items) if !items.is_empty() && items.iter().all(is_page) => {
                let pages = items.iter().enumerate();
                let pages: Vec<Page> = pages.map(|(at, json)| self.page(Some(at), json)).collect();
                for (at, page) in pages.iter().enumerate() {
                    self.completeness(Some(at), page, pages.get(at + 1));
                }
            }
            Tree::Array(items) => {
                self.entries(None, items);
            }
            Tree::Object(_) if is_page(json) => {
                let page = self.page(None, json);
                self.completeness(None, &page, None);
            }
            Tree::Object(object) => self.object(object, json),
            Tree::Bool(_) | Tree::Null | Tree::Number | Tree::String(_) => {
                self.errors.push(WireError::Unrecognised(json.kind()));
            }
        }
    }

    /// An object that is no page: groups, one entry, or an error answer.
    fn object(&mut self, object: &Members<'_>, json: &Tree<'_>) {
        if groups::is_groups(object) {
            for (name, value) in object.iter() {
                match groups::read(name, value) {
                    Ok(read) => self.parsed.groups.extend(read),
                    Err(error) => self.errors.push(error),
                }
            }
        } else if let Some(code) = error_code(object) {
            self.errors.push(WireError::ErrorAnswer(code));
        } else {
            self.entry(None, 0, json);
        }
    }

    fn page(&mut self, page: Option<usize>, json: &Tree<'_>) -> Page {
        let Tree::Object(object) = json else {
            return Page::default();
        };
        let Ok(Some(Tree::Array(items))) = member(object, "value") else {
            return Page::default();
        };
        if page.is_none() && !items.is_empty() && items.iter().all(is_text) {
            self.errors.push(WireError::MembersOfNobody);
            return Page::default();
        }
        let kinds = self.entries(page, items);
        Page::of(kinds, object)
    }

    /// SECURITY: role assignments and definitions that are missing grant less. Deny assignments
    /// that are missing stop less, and without its schedule instance an activated role has no end.
    fn completeness(&mut self, at: Option<usize>, page: &Page, next: Option<&Page>) {
        if !page.more {
            return;
        }
        let is_next = |kind| next.is_some_and(|p| p.kinds.is_empty() || p.kinds.contains(&kind));
        if page.kinds.is_empty() && next.is_none() && self.errors.is_empty() {
            // Whatever it lists may be a kind that must be whole.
            self.errors.push(WireError::Incomplete {
                page: at,
                kind: None,
            });
        }
        for &kind in page.kinds.iter().filter(|&&kind| !is_next(kind)) {
            match kind {
                Kind::DenyAssignment | Kind::ScheduleInstance => {
                    self.errors.push(WireError::Incomplete {
                        page: at,
                        kind: Some(kind),
                    });
                }
                Kind::RoleAssignment | Kind::RoleDefinition => {
                    self.parsed.notes.push(Note::MorePages(kind));
                }
                Kind::EligibilityInstance => {}
            }
        }
    }

    fn entries(&mut self, page: Option<usize>, items: &[Tree<'_>]) -> BTreeSet<Kind> {
        let kinds = items.iter().enumerate();
        kinds
            .filter_map(|(index, json)| self.entry(page, index, json))
            .collect()
    }

    /// Reads an entry; the kind it is, if it can be told.
    fn entry(&mut self, page: Option<usize>, index: usize, json: &Tree<'_>) -> Option<Kind> {
        let mut name = None;
        let mut kind = None;
        let read = Fields::of_entry(json).and_then(|fields| {
            name = fields.label();
            let recognised = kind::recognise(&fields)?;
            kind = Some(recognised);
            self.read(recognised, &fields)
        });
        if let Err(error) = read {
            let place = Place::Entry { page, index, name };
            self.errors.push(WireError::Entry { place, error });
        }
        kind
    }

    fn read(&mut self, kind: Kind, fields: &Fields<'_>) -> Result<(), EntryError> {
        let name = || fields.label().unwrap_or_default();
        match kind {
            Kind::DenyAssignment => {
                let read = deny::read(fields)?;
                self.note_condition(kind, name, read.condition.as_ref());
                self.note_permissions(kind, name, &read.permissions);
                self.parsed.deny_assignments.push(read);
            }
            Kind::EligibilityInstance => self.parsed.eligibility_skipped += 1,
            Kind::RoleAssignment => {
                let read = role_assignment::read(fields, &mut self.scopes)?;
                self.note_condition(kind, name, read.condition.as_ref());
                self.parsed.role_assignments.push(read);
            }
            Kind::RoleDefinition => match role_definition::read(fields)? {
                role_definition::Read::Definition(read) => {
                    self.note_permissions(kind, name, &read.definition.permissions);
                    self.parsed.role_definitions.push(read);
                }
                role_definition::Read::WithoutId(name) => {
                    let name = shorten(&name).into();
                    self.parsed.notes.push(Note::DefinitionWithoutId(name));
                }
            },
            Kind::ScheduleInstance => {
                let read = schedule::read(fields)?;
                self.note_condition(kind, name, read.instance.condition.as_ref());
                if read.unknown_status {
                    self.parsed.notes.push(Note::UnknownStatus(name()));
                }
                self.parsed.schedule_instances.push(read.instance);
            }
        }
        Ok(())
    }

    fn note_condition(
        &mut self,
        kind: Kind,
        name: impl Fn() -> Box<str>,
        condition: Option<&ConditionText>,
    ) {
        if condition.is_some_and(|condition| condition.text.is_empty()) {
            let name = name();
            self.parsed.notes.push(Note::ConditionLost { kind, name });
        }
    }

    fn note_permissions(
        &mut self,
        kind: Kind,
        name: impl Fn() -> Box<str>,
        permissions: &[Permission],
    ) {
        for permission in permissions {
            self.note_condition(kind, &name, permission.condition.as_ref());
        }
        let mut patterns = permissions
            .iter()
            .flat_map(|one| one.data_actions.iter().chain(&one.not_data_actions));
        if patterns.any(|pattern| pattern.trim() != &**pattern) {
            let name = name();
            self.parsed.notes.push(Note::SpacedPattern { kind, name });
        }
    }
}

/// `{"value": […]}`: a page of ARM's or Graph's, or a list as Windows PowerShell wraps it.
fn is_page(json: &Tree<'_>) -> bool {
    matches!(json, Tree::Object(object) if matches!(member(object, "value"), Ok(Some(Tree::Array(_)))))
}

const fn is_text(json: &Tree<'_>) -> bool {
    matches!(json, Tree::String(_))
}

/// The code of `{"error": {"code": …}}`, which ARM and Graph answer when a call fails.
fn error_code(object: &Members<'_>) -> Option<Box<str>> {
    let Ok(Some(Tree::Object(error))) = member(object, "error") else {
        return None;
    };
    match member(error, "code") {
        Ok(Some(Tree::String(code))) => Some(shorten(code).into()),
        _ => Some("(no code)".into()),
    }
}
