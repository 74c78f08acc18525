//! Landlock: which files and ports, see <https://docs.kernel.org/userspace-api/landlock.html>.

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, NetPort, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetError, RulesetStatus, Scope, path_beneath_rules,
};

use super::Held;
use super::places::Places;

/// What is asked for, which older kernels hold in part: ports since Linux 6.7, signals since 6.12.
const KNOWN: ABI = ABI::V6;

/// What an older kernel does not know is in the table of `docs/hardening.md`.
const IN_PART: &str = "in part: files, but not ports before Linux 6.7, nor signals before 6.12";

/// Confines this thread, and those it will start, to `places`.
pub(super) fn enforce(places: &Places) -> Held {
    let status = restrict(places).map_err(|error| format!("off: {error}"))?;
    match status {
        RulesetStatus::FullyEnforced => Ok("files, ports and signals"),
        RulesetStatus::PartiallyEnforced => Err(IN_PART.into()),
        RulesetStatus::NotEnforced => Err("off: this kernel has no Landlock".into()),
    }
}

fn restrict(places: &Places) -> Result<RulesetStatus, RulesetError> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let port = |access| move |port: &u16| Ok::<_, RulesetError>(NetPort::new(*port, access));
    let status = Ruleset::default()
        // SECURITY: what is known and allowed nowhere below is refused, starting programs included.
        .handle_access(AccessFs::from_all(KNOWN))?
        .handle_access(AccessNet::from_all(KNOWN))?
        .scope(Scope::from_all(KNOWN))?
        .create()?
        // A place that is not there yet cannot be allowed, and is none.
        .add_rules(path_beneath_rules(&places.read, read))?
        .add_rules(path_beneath_rules(&places.write, read | of_records()))?
        .add_rules(path_beneath_rules(&places.sockets, read | of_sockets()))?
        .add_rules(places.bind.iter().map(port(AccessNet::BindTcp)))?
        .add_rules(places.connect.iter().map(port(AccessNet::ConnectTcp)))?
        .restrict_self()?;
    Ok(status.ruleset)
}

/// What happens to the file of decision records: it is begun, written, cut where a line was broken
/// off, renamed and in the end removed.
fn of_records() -> BitFlags<AccessFs> {
    AccessFs::WriteFile | AccessFs::Truncate | AccessFs::MakeReg | AccessFs::RemoveFile
}

/// A Unix socket is made in place of one that was left behind, and removed in the end.
fn of_sockets() -> BitFlags<AccessFs> {
    AccessFs::MakeSock | AccessFs::RemoveFile
}
