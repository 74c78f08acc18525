//! Schedule instances of PIM: when an assignment begins and ends.

use portcullis::keyvault::OperationKind;
use portcullis::principal::Guid;
use portcullis::rbac::{MemberType, RoleDefinitionId, ScheduleInstance, Window};
use portcullis::reason::Reason;

use super::tenant::{at, object_id};
use super::{Question, allows, assert_reason};

use super::by_hand::{ALICE, GROUP, asks, everything, id, vault, vault_id};

fn instance(window: Window) -> ScheduleInstance {
    ScheduleInstance {
        id: id(100),
        origin: Some(id(100)),
        scope: vault_id().parse().unwrap(),
        principal: object_id(ALICE),
        role_definition: RoleDefinitionId(Guid::from_u128(1)),
        window,
        ended: false,
        member_type: MemberType::Direct,
        condition: None,
    }
}

#[test]
fn an_activated_role_ends_to_the_second() {
    let mut data = everything();
    data.schedule_instances.push(instance(Window {
        start: Some(at(3)),
        end: Some(at(7)),
    }));
    for (second, allowed) in [(2, false), (3, true), (6, true), (7, false)] {
        let question = Question {
            now: at(second),
            ..asks(OperationKind::SecretGet, "app")
        };
        assert_eq!(
            allows(&data, &vault(), &question),
            allowed,
            "second {second}"
        );
        if !allowed {
            assert_reason(&data, &vault(), &question, Reason::ExpiredGrant);
        }
    }
}

#[test]
fn a_revoked_or_orphaned_schedule_instance_grants_nothing() {
    let mut revoked = everything();
    revoked.schedule_instances.push(ScheduleInstance {
        ended: true,
        ..instance(Window::default())
    });
    assert_reason(
        &revoked,
        &vault(),
        &asks(OperationKind::SecretGet, "app"),
        Reason::ExpiredGrant,
    );
    let mut orphaned = everything();
    orphaned.role_assignments.clear();
    orphaned
        .schedule_instances
        .push(instance(Window::default()));
    assert_reason(
        &orphaned,
        &vault(),
        &asks(OperationKind::SecretGet, "app"),
        Reason::NoAssignment,
    );
}

#[test]
fn a_groups_assignment_ends_also_where_only_its_members_instance_tells_of_the_end() {
    let mut data = everything();
    data.role_assignments[0].principal = object_id(GROUP);
    data.groups.insert(object_id(ALICE), vec![object_id(GROUP)]);
    let through_group = ScheduleInstance {
        member_type: MemberType::Group,
        ..instance(Window {
            start: Some(at(3)),
            end: Some(at(7)),
        })
    };
    data.schedule_instances.push(through_group);
    let get = |second| Question {
        now: at(second),
        ..asks(OperationKind::SecretGet, "app")
    };
    assert!(allows(&data, &vault(), &get(6)));
    assert_reason(&data, &vault(), &get(7), Reason::ExpiredGrant);
    // The group's own is the one that counts where both are there.
    data.schedule_instances.push(ScheduleInstance {
        id: id(101),
        principal: object_id(GROUP),
        ..instance(Window {
            start: Some(at(3)),
            end: Some(at(9)),
        })
    });
    assert!(allows(&data, &vault(), &get(8)));
    assert_reason(&data, &vault(), &get(9), Reason::ExpiredGrant);
}

#[test]
fn a_schedule_instance_without_an_origin_bounds_the_assignment_it_repeats() {
    let mut data = everything();
    let ended = Window {
        start: None,
        end: Some(at(1)),
    };
    data.schedule_instances.push(ScheduleInstance {
        id: id(999),
        origin: None,
        ..instance(ended)
    });
    assert_reason(
        &data,
        &vault(),
        &asks(OperationKind::SecretGet, "app"),
        Reason::ExpiredGrant,
    );
}
