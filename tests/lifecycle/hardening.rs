//! What the real binary gives up, seen from outside, and that it needs no more than a user without
//! any capability has, on a file system that nobody can write to.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::Command;

use portcullis::dev::people;

use crate::ask::soon;
use crate::process::{Running, run, skip};
use crate::surroundings::Surroundings;

/// A user and group that have nothing and are nobody.
const NOBODY: u32 = 65532;

/// The value of a line of `/proc/<pid>/<file>`.
fn of_process(running: &Running, file: &str, name: &str) -> String {
    let path = format!("/proc/{}/{file}", running.process.id());
    let text = fs::read_to_string(path).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().trim().to_owned()
}

/// What is said of each thread.
fn of_threads(running: &Running, name: &str) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", running.process.id())).unwrap();
    let tasks = tasks.map(|task| task.unwrap().file_name().into_string().unwrap());
    tasks
        .map(|task| of_process(running, &format!("task/{task}/status"), name))
        .collect()
}

async fn serves(world: &Surroundings, running: &Running) {
    let token = world.token(people::SECRETS_USER);
    assert_eq!(running.client.secret(&token).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_thread_is_confined_and_no_memory_is_dumped_unless_told_otherwise() {
    let world = Surroundings::start().await;
    let mut running = Running::start(&world, &world.toml("")).await;
    serves(&world, &running).await;
    let told = running.process.logs("sandbox").await;
    let held = &told["fields"];
    if held["landlock"].as_str().unwrap().starts_with("off") {
        skip(&held.to_string());
        return;
    }
    assert_eq!(held["seccomp"], "system calls", "{held}");
    for (name, value) in [("NoNewPrivs:", "1"), ("Seccomp:", "2")] {
        let threads = of_threads(&running, name);
        assert!(
            threads.len() > 3 && threads.iter().all(|t| t == value),
            "{name} {threads:?}"
        );
    }
    let limits = of_process(&running, "limits", "Max core file size");
    assert_eq!(
        limits.split_whitespace().collect::<Vec<_>>(),
        ["0", "0", "bytes"]
    );

    let off = "[process]\ncore_dumps = true\nsandbox = \"off\"\n";
    let mut running = Running::start(&world, &world.toml(off)).await;
    serves(&world, &running).await;
    running.process.logs("the sandbox is switched off").await;
    assert!(
        of_threads(&running, "Seccomp:")
            .iter()
            .all(|mode| mode == "0")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_capabilities_serves_from_a_file_system_nobody_can_write_to() {
    let world = Surroundings::start().await;
    let config = world.write(&world.toml("[process]\nsandbox = \"if_available\"\n"));
    let readable = Command::new("chown")
        .args(["-R", &format!("{NOBODY}:{NOBODY}")])
        .arg(world.directory.path())
        .status();
    let served = run(&config);
    let words: Vec<_> = std::iter::once(served.get_program())
        .chain(served.get_args())
        .map(|word| word.to_str().unwrap())
        .collect();
    let script = format!(
        "mount -o remount,bind,ro / && mount --bind {0} {0} && mount -o remount,bind,ro {0} && \
         exec setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups --bounding-set -all \
         --inh-caps -all --no-new-privs",
        world.directory.path().display()
    );
    let confined = |words: &str| {
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", &format!("{script} {words}")]);
        command
    };
    if !readable.is_ok_and(|status| status.success())
        || !confined("true")
            .output()
            .is_ok_and(|output| output.status.success())
    {
        skip("this user may not mount, or become another");
        return;
    }
    let write = format!("sh -c 'echo x > {}'", world.path("new").display());
    assert!(!confined(&write).output().unwrap().status.success());
    let running = Running::spawn(&world, confined(&words.join(" "))).await;
    serves(&world, &running).await;
    assert_eq!(
        of_process(&running, "status", "CapEff:"),
        "0000000000000000"
    );
    assert_eq!(
        of_process(&running, "status", "CapBnd:"),
        "0000000000000000"
    );
    let user = of_process(&running, "status", "Uid:");
    assert!(user.starts_with(&NOBODY.to_string()), "{user}");
    // Of a process that can be dumped, this would be its user's.
    let memory = fs::metadata(format!("/proc/{}/mem", running.process.id())).unwrap();
    assert_eq!(memory.uid(), 0);
    running.process.signal("TERM");
    let outcome = soon(running.process.end()).await;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
}
