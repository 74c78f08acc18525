//! PIM role assignment schedule instances: roles held for a time.
//!
//! Azure: the list of role assignments holds an activated role without its end, which only the
//! instance tells, so a field lost here could make a grant last longer. Every field that bounds
//! is required, save the end of an instance that is assigned for good.
//!
//! Source: <https://learn.microsoft.com/rest/api/authorization/role-assignment-schedule-instances>.

use crate::principal::ObjectId;
use crate::rbac::{AssignmentId, MemberType, ScheduleInstance, Window};

use super::error::EntryError;
use super::fields::{EXPECTED_GUID, Fields};
use super::role_assignment::role_definition;
use super::time;

/// Statuses of an instance that holds no role, or no longer, or not before somebody says so.
const ENDED: [&str; 12] = [
    "AdminDenied",
    "Canceled",
    "Denied",
    "Failed",
    "FailedAsResourceIsLocked",
    "Invalid",
    "PendingAdminDecision",
    "PendingApproval",
    "PendingApprovalProvisioning",
    "PendingRevocation",
    "Revoked",
    "TimedOut",
];

/// The other statuses that Azure documents. Which of them a running instance may show is not
/// documented, so all count as running: the window decides.
const RUNNING: [&str; 10] = [
    "Accepted",
    "AdminApproved",
    "Granted",
    "PendingEvaluation",
    "PendingExternalProvisioning",
    "PendingProvisioning",
    "PendingScheduleCreation",
    "Provisioned",
    "ProvisioningStarted",
    "ScheduleCreated",
];

/// An instance, and whether its status is none that Azure documents; then it counts as ended.
pub(super) struct Read {
    pub(super) instance: ScheduleInstance,
    pub(super) unknown_status: bool,
}

/// Reads a role assignment schedule instance.
pub(super) fn read(fields: &Fields<'_>) -> Result<Read, EntryError> {
    let id = fields.entry_guid("name", "id", "roleAssignmentScheduleInstances")?;
    let status = fields.required("status", "a status such as `Provisioned`")?;
    let one_of = |statuses: &[&str]| statuses.iter().any(|s| s.eq_ignore_ascii_case(status));
    let running = one_of(&RUNNING);
    let instance = ScheduleInstance {
        id: id
            .map(AssignmentId)
            .ok_or_else(|| fields.missing("name", EXPECTED_GUID))?,
        origin: fields
            .last_guid("originRoleAssignmentId", "roleAssignments")?
            .map(AssignmentId),
        scope: fields.scope()?,
        principal: ObjectId(fields.guid("principalId")?),
        role_definition: role_definition(fields)?,
        window: window(fields)?,
        ended: !running,
        member_type: member_type(fields)?,
        condition: fields.condition()?,
    };
    Ok(Read {
        instance,
        unknown_status: !running && !one_of(&ENDED),
    })
}

fn window(fields: &Fields<'_>) -> Result<Window, EntryError> {
    let start = fields
        .time("startDateTime")?
        .ok_or_else(|| fields.missing("startDateTime", time::EXPECTED))?;
    let end = fields.time("endDateTime")?;
    let assigned = fields.text("assignmentType")?;
    let for_good = assigned.is_some_and(|word| word.eq_ignore_ascii_case("Assigned"));
    if end.is_none() && !for_good {
        let expected = format!("{}, unless `assignmentType` is `Assigned`", time::EXPECTED);
        return Err(fields.missing("endDateTime", &expected));
    }
    Ok(Window {
        start: Some(start),
        end,
    })
}

fn member_type(fields: &Fields<'_>) -> Result<MemberType, EntryError> {
    let expected = "`Direct`, `Group` or `Inherited`";
    let word = fields.required("memberType", expected)?;
    match word.to_ascii_lowercase().as_str() {
        "direct" => Ok(MemberType::Direct),
        "group" => Ok(MemberType::Group),
        "inherited" => Ok(MemberType::Inherited),
        _ => Err(fields.wrong("memberType", expected, "another text")),
    }
}
