//! Seccomp: the system calls that are refused, see <https://docs.kernel.org/userspace-api/seccomp_filter.html>.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen as Length, SeccompCmpOp as Is,
    SeccompCondition, SeccompFilter, SeccompRule, TargetArch, apply_filter_all_threads,
};

use super::Held;

/// What no part of a server does, whatever its arguments.
const NEVER: &[libc::c_long] = &[
    // Other programs, and other processes' memory.
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_kcmp,
    libc::SYS_memfd_create,
    libc::SYS_pidfd_getfd,
    libc::SYS_process_madvise,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_ptrace,
    // File systems and namespaces.
    libc::SYS_chroot,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fsopen,
    libc::SYS_fspick,
    libc::SYS_mknodat,
    libc::SYS_mount,
    libc::SYS_mount_setattr,
    libc::SYS_move_mount,
    libc::SYS_open_by_handle_at,
    libc::SYS_open_tree,
    libc::SYS_pivot_root,
    libc::SYS_quotactl,
    libc::SYS_setns,
    libc::SYS_swapoff,
    libc::SYS_swapon,
    libc::SYS_umount2,
    libc::SYS_unshare,
    // Large and often broken parts of the kernel.
    libc::SYS_bpf,
    libc::SYS_fanotify_init,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_io_uring_setup,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    // Keys of the kernel's.
    libc::SYS_add_key,
    libc::SYS_keyctl,
    libc::SYS_request_key,
    // The machine.
    libc::SYS_acct,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_clock_settime,
    libc::SYS_delete_module,
    libc::SYS_finit_module,
    libc::SYS_init_module,
    libc::SYS_kexec_load,
    libc::SYS_personality,
    libc::SYS_reboot,
    libc::SYS_setdomainname,
    libc::SYS_sethostname,
    libc::SYS_settimeofday,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    // Other users, and more than this one may.
    libc::SYS_capset,
    libc::SYS_setfsgid,
    libc::SYS_setfsuid,
    libc::SYS_setgid,
    libc::SYS_setgroups,
    libc::SYS_setregid,
    libc::SYS_setresgid,
    libc::SYS_setresuid,
    libc::SYS_setreuid,
    libc::SYS_setuid,
];

/// The same, for calls that other processors do not have.
#[cfg(target_arch = "x86_64")]
const NEVER_HERE: &[libc::c_long] = &[
    libc::SYS_fork,
    libc::SYS_ioperm,
    libc::SYS_iopl,
    // Not known to every C library on other processors.
    libc::SYS_kexec_file_load,
    libc::SYS_mknod,
    libc::SYS_modify_ldt,
    libc::SYS_vfork,
];
#[cfg(not(target_arch = "x86_64"))]
const NEVER_HERE: &[libc::c_long] = &[];

/// Another way to say `AF_PACKET`, which the C library no longer recommends and the kernel still takes.
const SOCK_PACKET: i32 = 10;

/// The bits of a socket's type that are not flags.
const SOCKET_KIND: u64 = 0xf;

/// Refuses the calls above to every thread of this process, and to those it will start.
pub(super) fn enforce() -> Held {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)
        .map_err(|_| "off: there is no seccomp filter for this processor")?;
    let programs = filters(architecture).map_err(off)?;
    for program in programs {
        apply_filter_all_threads(&program).map_err(off)?;
    }
    Ok("system calls")
}

fn off(error: impl std::fmt::Display) -> String {
    format!("off: {error}")
}

fn filters(architecture: TargetArch) -> Result<[BpfProgram; 2], BackendError> {
    let filter = |rules, errno: i32| {
        // The numbers of errors are positive.
        let refused = SeccompAction::Errno(errno.unsigned_abs());
        SeccompFilter::new(rules, SeccompAction::Allow, refused, architecture)?.try_into()
    };
    // Its flags are in memory, where a filter cannot look. To the C library this means an older
    // kernel, and it makes threads by `clone`.
    let unknown = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    Ok([
        filter(refused()?, libc::EPERM)?,
        filter(unknown, libc::ENOSYS)?,
    ])
}

fn refused() -> Result<BTreeMap<i64, Vec<SeccompRule>>, BackendError> {
    let never = NEVER.iter().chain(NEVER_HERE);
    let mut rules: BTreeMap<_, _> = never.map(|number| (*number, Vec::new())).collect();
    let thread = of(libc::CLONE_THREAD);
    rules.insert(libc::SYS_clone, vec![rule([(0, Is::MaskedEq(thread), 0)])?]);
    // What `hardening` has set.
    let dumpable = (0, Is::Eq, of(libc::PR_SET_DUMPABLE));
    rules.insert(libc::SYS_prctl, vec![rule([dumpable])?]);
    rules.insert(libc::SYS_socket, foreign_sockets()?);
    // SECURITY: by this flag a socket connects, and Landlock does not look.
    let fast_open = Is::MaskedEq(of(libc::MSG_FASTOPEN));
    for (call, flags) in [
        (libc::SYS_sendto, 3),
        (libc::SYS_sendmsg, 2),
        (libc::SYS_sendmmsg, 3),
    ] {
        let opens = (flags, fast_open.clone(), of(libc::MSG_FASTOPEN));
        rules.insert(call, vec![rule([opens])?]);
    }
    // Memory is written or executed. (On other processors the C library makes memory of libraries
    // it has just loaded executable.)
    let both = of(libc::PROT_WRITE | libc::PROT_EXEC);
    rules.insert(libc::SYS_mmap, vec![rule([(2, Is::MaskedEq(both), both)])?]);
    if cfg!(target_arch = "x86_64") {
        let executed = of(libc::PROT_EXEC);
        for call in [libc::SYS_mprotect, libc::SYS_pkey_mprotect] {
            rules.insert(call, vec![rule([(2, Is::MaskedEq(executed), executed)])?]);
        }
    }
    Ok(rules)
}

/// Sockets that are neither TCP, UDP nor Unix.
///
/// SECURITY: Landlock holds the ports of TCP. MPTCP and SCTP would connect past it.
fn foreign_sockets() -> Result<Vec<SeccompRule>, BackendError> {
    let mut rules = Vec::new();
    let families = [libc::AF_INET, libc::AF_INET6, libc::AF_UNIX];
    rules.push(rule(families.map(|family| (0, Is::Ne, of(family))))?);
    let kinds = [
        libc::SOCK_RAW,
        libc::SOCK_RDM,
        libc::SOCK_SEQPACKET,
        libc::SOCK_DCCP,
        SOCK_PACKET,
    ];
    for kind in kinds {
        rules.push(rule([(1, Is::MaskedEq(SOCKET_KIND), of(kind))])?);
    }
    // 0 is what belongs to the kind: TCP to streams, UDP to datagrams.
    let protocols = [0, libc::IPPROTO_TCP, libc::IPPROTO_UDP];
    let [default, tcp, udp] = protocols.map(|protocol| (2, Is::Ne, of(protocol)));
    rules.push(rule([default, tcp, udp])?);
    Ok(rules)
}

/// A rule for calls whose arguments meet all of these conditions.
fn rule<const N: usize>(conditions: [(u8, Is, u64); N]) -> Result<SeccompRule, BackendError> {
    let conditions = conditions
        .into_iter()
        .map(|(argument, is, value)| SeccompCondition::new(argument, Length::Dword, is, value));
    SeccompRule::new(conditions.collect::<Result<_, _>>()?)
}

/// A flag or constant of the C library, which are all positive.
fn of(constant: i32) -> u64 {
    u64::from(constant.unsigned_abs())
}
