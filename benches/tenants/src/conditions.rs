//! Conditions: a few hundred texts that many role assignments share.
//!
//! Each is a list of tests that must all hold, mostly behind a guard that leaves every other data
//! action alone. The text says the same in Azure's language.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use crate::dice::Dice;
use crate::people::PrincipalKind;
use crate::tree::{ObjectType, app};

/// When the requests are made, in seconds since 1970: the middle of January 2027.
pub const NOW: u64 = 1_800_000_000;

const DAY: u64 = 86_400;

/// One data action that conditions are about, with the object it is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Guard {
    /// The data action.
    pub action: &'static str,
    /// What it is done to.
    pub object: ObjectType,
    /// Where the name is: of what is there (`Resource`) or of what shall be (`Request`).
    pub source: &'static str,
}

const GUARDS: [Guard; 4] = [
    Guard {
        action: "Microsoft.KeyVault/vaults/secrets/getSecret/action",
        object: ObjectType::Secret,
        source: "Resource",
    },
    Guard {
        action: "Microsoft.KeyVault/vaults/secrets/setSecret/action",
        object: ObjectType::Secret,
        source: "Request",
    },
    Guard {
        action: "Microsoft.KeyVault/vaults/keys/sign/action",
        object: ObjectType::Key,
        source: "Resource",
    },
    Guard {
        action: "Microsoft.KeyVault/vaults/keys/wrap/action",
        object: ObjectType::Key,
        source: "Resource",
    },
];

/// One test of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// The object's name begins so.
    NameStartsWith(String),
    /// The object's name begins and ends so.
    NameLike(String, String),
    /// The object's name is one of these.
    NameIn(Vec<String>),
    /// It is before this time, in seconds since 1970.
    Before(u64),
    /// It is after this time, in seconds since 1970.
    After(u64),
    /// The client came by a private link, or did not.
    PrivateLink(bool),
    /// The caller is of this kind.
    Principal(PrincipalKind),
    /// The vault's tag `environment` has this value.
    VaultEnvironment(String),
    /// The object's tag `Project` has one of these values: nothing that a request line tells.
    ObjectProject(Vec<String>),
}

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The data action it is about; for every other one it is true.
    pub guard: Guard,
    /// Whether it is about every data action after all. Then no test is of a name or tag.
    pub unguarded: bool,
    /// What must hold, all of it.
    pub tests: Vec<Test>,
    /// The same in Azure's language, version 2.0.
    pub text: String,
}

/// What a condition is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The data action.
    pub data_action: &'a str,
    /// The name of the object, if there is one.
    pub name: Option<&'a str>,
    /// Whether the client came by a private link.
    pub private_link: bool,
    /// What the caller is.
    pub kind: PrincipalKind,
    /// The vault's tag `environment`.
    pub environment: &'a str,
}

impl Condition {
    /// Whether it holds at [`NOW`]; `None` if that depends on an object's tags.
    pub fn holds(&self, asked: &Asked<'_>) -> Option<bool> {
        if !self.unguarded && asked.data_action != self.guard.action {
            return Some(true);
        }
        let mut all = Some(true);
        for test in &self.tests {
            match test.holds(asked) {
                Some(true) => {}
                Some(false) => return Some(false),
                None => all = None,
            }
        }
        all
    }

    /// Whether it asks for the tags of objects.
    pub fn needs_metadata(&self) -> bool {
        let mut tests = self.tests.iter();
        tests.any(|test| matches!(test, Test::ObjectProject(_)))
    }

    fn draw(dice: &mut Dice, tagged: bool) -> Self {
        let guard = match dice.share(&[(60, 0), (12, 1), (16, 2)], 3) {
            0 => GUARDS[0],
            1 => GUARDS[1],
            2 => GUARDS[2],
            _ => GUARDS[3],
        };
        let mut tests = Vec::new();
        let mut unguarded = false;
        match dice.share(&[(65, 0), (15, 1)], 2) {
            0 => tests.push(name_test(dice, guard.object)),
            1 => tests.extend([name_test(dice, guard.object), other_test(dice)]),
            _ => {
                tests.push(other_test(dice));
                unguarded = dice.percent(30);
            }
        }
        if tagged {
            unguarded = false;
            tests.push(project_test(dice));
        }
        let text = Text {
            guard,
            unguarded,
            tests: &tests,
        }
        .to_string();
        Self {
            guard,
            unguarded,
            tests,
            text,
        }
    }
}

impl Test {
    fn holds(&self, asked: &Asked<'_>) -> Option<bool> {
        let name = asked.name.unwrap_or("");
        Some(match self {
            Self::NameStartsWith(prefix) => name.starts_with(prefix.as_str()),
            Self::NameLike(prefix, suffix) => name
                .strip_prefix(prefix.as_str())
                .is_some_and(|rest| rest.ends_with(suffix.as_str())),
            Self::NameIn(names) => names.iter().any(|one| one == name),
            Self::Before(time) => NOW < *time,
            Self::After(time) => NOW > *time,
            Self::PrivateLink(expected) => asked.private_link == *expected,
            Self::Principal(kind) => asked.kind == *kind,
            Self::VaultEnvironment(value) => asked.environment == value,
            Self::ObjectProject(_) => return None,
        })
    }
}

fn name_test(dice: &mut Dice, object: ObjectType) -> Test {
    match dice.share(&[(50, 0), (25, 1)], 2) {
        0 => Test::NameStartsWith(format!("{}-", app(dice.below(8)))),
        1 => {
            let ends = if object == ObjectType::Secret {
                ["-prod", "-test"]
            } else {
                ["-signing", "-wrapping"]
            };
            let end = if dice.percent(75) { ends[0] } else { ends[1] };
            Test::NameLike(format!("{}-", app(dice.below(8))), end.to_owned())
        }
        _ => {
            let numbers = 2 + dice.below(5);
            let names = (0..numbers).map(|_| object.name(dice.below(object.count())));
            let mut names: Vec<String> = names.collect();
            names.sort_unstable();
            names.dedup();
            Test::NameIn(names)
        }
    }
}

fn other_test(dice: &mut Dice) -> Test {
    let today = NOW / DAY;
    let mut days = |bound: usize| u64::try_from(dice.below(bound)).unwrap_or(0);
    let (ahead, behind) = (days(460), days(400));
    match dice.share(&[(45, 0), (15, 1), (20, 2), (10, 3)], 4) {
        // A few have run out.
        0 => Test::Before((today - 60 + ahead) * DAY),
        1 => Test::After((today - 380 + behind) * DAY),
        2 => Test::PrivateLink(dice.percent(90)),
        3 => Test::Principal(if dice.percent(80) {
            PrincipalKind::ServicePrincipal
        } else {
            PrincipalKind::User
        }),
        _ => Test::VaultEnvironment(if dice.percent(80) { "prod" } else { "test" }.to_owned()),
    }
}

fn project_test(dice: &mut Dice) -> Test {
    let mut projects: Vec<String> = (0..1 + dice.below(3))
        .map(|_| format!("project-{}", dice.below(60)))
        .collect();
    projects.sort_unstable();
    projects.dedup();
    Test::ObjectProject(projects)
}

/// A condition as text, to be written.
struct Text<'a> {
    guard: Guard,
    unguarded: bool,
    tests: &'a [Test],
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.unguarded {
            f.write_str("(")?;
        } else {
            write!(f, "((!(ActionMatches{{'{}'}})) OR (", self.guard.action)?;
        }
        for (index, test) in self.tests.iter().enumerate() {
            if index > 0 {
                f.write_str(" AND ")?;
            }
            self.test(test, f)?;
        }
        f.write_str(if self.unguarded { ")" } else { "))" })
    }
}

impl Text<'_> {
    fn test(&self, test: &Test, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let collection = self.guard.object.collection();
        let source = self.guard.source;
        let name = format!("@{source}[Microsoft.KeyVault/vaults/{collection}:name]");
        match test {
            Test::NameStartsWith(prefix) => write!(f, "{name} StringStartsWith '{prefix}'"),
            Test::NameLike(prefix, suffix) => write!(f, "{name} StringLike '{prefix}*{suffix}'"),
            Test::NameIn(names) => {
                write!(f, "{name} ForAnyOfAnyValues:StringEquals {}", list(names))
            }
            Test::Before(time) => {
                write!(f, "@Environment[UtcNow] DateTimeLessThan '{}'", date(*time))
            }
            Test::After(time) => {
                write!(
                    f,
                    "@Environment[UtcNow] DateTimeGreaterThan '{}'",
                    date(*time)
                )
            }
            Test::PrivateLink(expected) => {
                write!(f, "@Environment[isPrivateLink] BoolEquals {expected}")
            }
            Test::Principal(kind) => write!(
                f,
                "@Principal[Microsoft.Directory/principals:type] StringEquals '{}'",
                kind.as_str()
            ),
            Test::VaultEnvironment(value) => write!(
                f,
                "@Resource[Microsoft.KeyVault/vaults/tags:environment<$key_case_sensitive$>] \
                 StringEquals '{value}'"
            ),
            Test::ObjectProject(values) => write!(
                f,
                "@{source}[Microsoft.KeyVault/vaults/{collection}/tags:Project\
                 <$key_case_sensitive$>] ForAnyOfAnyValues:StringEquals {}",
                list(values)
            ),
        }
    }
}

fn list(values: &[String]) -> String {
    let quoted: Vec<String> = values.iter().map(|value| format!("'{value}'")).collect();
    format!("{{{}}}", quoted.join(", "))
}

/// The first instant of the day of `time`, in seconds since 1970, as conditions write it.
///
/// Years begin in March here, so that a leap day is the last of its year.
fn date(time: u64) -> String {
    let days = time / DAY + 719_468;
    let era = days / 146_097;
    let of_era = days % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T00:00:00.0Z")
}

/// All conditions of a tenant.
#[derive(Clone, Debug)]
pub struct Conditions {
    /// Those that a request line, the caller, the clock and the vault settle.
    pub plain: Vec<Arc<Condition>>,
    /// Those that ask for an object's tags besides.
    pub tagged: Vec<Arc<Condition>>,
}

impl Conditions {
    pub(crate) fn new(seed: u64, assignments: usize) -> Self {
        let mut dice = Dice::new(seed, 2);
        let distinct = (assignments / 100).clamp(8, 400);
        let mut known = HashSet::new();
        let mut pool = |count: usize, tagged: bool| {
            let drawn = std::iter::repeat_with(|| Condition::draw(&mut dice, tagged));
            let new = drawn
                .take(count * 50)
                .filter(|one| known.insert(one.text.clone()));
            new.take(count).map(Arc::new).collect()
        };
        Self {
            plain: pool(distinct - distinct / 10, false),
            tagged: pool(distinct / 10, true),
        }
    }

    /// One of them: the first ones often, the last ones seldom, and one in ten asks for tags if
    /// that is `tagged`.
    pub(crate) fn draw(&self, dice: &mut Dice, tagged: bool) -> Option<Arc<Condition>> {
        let wants_tags = dice.percent(10);
        let pool = if wants_tags && tagged && !self.tagged.is_empty() {
            &self.tagged
        } else {
            &self.plain
        };
        let number = dice.below(pool.len()).min(dice.below(pool.len()));
        pool.get(number).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (time, expected) in [
            (0, "1970-01-01T00:00:00.0Z"),
            (951_782_400, "2000-02-29T00:00:00.0Z"),
            (NOW, "2027-01-15T00:00:00.0Z"),
            (1_835_308_800, "2028-02-28T00:00:00.0Z"),
            (1_835_395_200, "2028-02-29T00:00:00.0Z"),
            (1_835_481_600, "2028-03-01T00:00:00.0Z"),
        ] {
            assert_eq!(date(time), expected);
        }
    }

    #[test]
    fn no_two_texts_are_the_same() {
        let conditions = Conditions::new(1, 1_000_000);
        let all = conditions.plain.iter().chain(&conditions.tagged);
        let texts: HashSet<&str> = all.map(|one| one.text.as_str()).collect();
        assert_eq!(texts.len(), 400);
    }
}
