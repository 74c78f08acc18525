//! The real binary when the system lets it down, or ends it: no request is forwarded without its
//! record, and when the trouble is over, so it is for everybody.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use portcullis::dev::people;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::ask::{send, soon, until};
use crate::process::{Running, run, skip};
use crate::surroundings::{Client, Surroundings};

/// Longer than a decision waits for its record, however busy the machine.
const BOUNDED: Duration = Duration::from_secs(15);

const FILE_SINK: &str = "[audit]\nsink = \"file\"\npath = \"records/decisions.jsonl\"\n";

/// `command` as the last words of `sh -c` after `before`.
fn shell(before: &str, command: &Command) -> Command {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_str().unwrap()).collect();
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{before} && exec {}", words.join(" "))]);
    shell
}

fn lines(text: &str) -> Vec<Value> {
    // What is behind the last line feed was being written when the process was killed.
    let (whole, _) = text.rsplit_once('\n').unwrap_or_default();
    let lines = whole.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Checks that no line is missing.
fn is_complete(records: &[Value]) {
    let numbers = records.iter().map(|line| line["seq"].as_u64().unwrap());
    assert!(numbers.eq(1..=records.len() as u64), "a gap");
}

/// What callers saw of their requests, each for a secret of its own name.
#[derive(Default)]
struct Seen {
    answered: BTreeSet<String>,
    failed: BTreeSet<String>,
}

/// Callers that ask as fast as they can, with a new connection each time, until told to stop.
struct Load {
    callers: JoinSet<Seen>,
    over: Arc<AtomicBool>,
}

impl Load {
    fn begin(world: &Surroundings, client: &Client) -> Self {
        let (over, number) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        let mut callers = JoinSet::new();
        for _ in 0..8 {
            let (client, token) = (client.clone(), world.token(people::ADMIN));
            let (over, number) = (Arc::clone(&over), Arc::clone(&number));
            callers.spawn(async move {
                let mut seen = Seen::default();
                while !over.load(Ordering::SeqCst) {
                    let name = format!("load-{}", number.fetch_add(1, Ordering::SeqCst));
                    let path = format!("/secrets/{name}?api-version=7.4");
                    let asked = soon(send(client.get_at("localhost", &path, &token))).await;
                    match asked {
                        Ok(answer) => {
                            // The vault's own word: there is no such secret.
                            assert_eq!(answer.verdict(), (404, ""));
                            seen.answered.insert(name);
                        }
                        Err(_) => _ = seen.failed.insert(name),
                    }
                }
                seen
            });
        }
        Self { callers, over }
    }

    async fn end(self) -> Seen {
        self.over.store(true, Ordering::SeqCst);
        let all = self.callers.join_all().await.into_iter();
        all.fold(Seen::default(), |mut all, seen| {
            all.answered.extend(seen.answered);
            all.failed.extend(seen.failed);
            all
        })
    }
}

/// The names of the secrets that the vault was asked for.
fn forwarded(world: &Surroundings) -> BTreeSet<String> {
    let journal = world.vault.journal();
    assert_eq!(
        journal.len() as u64,
        world.vault.journal_len(),
        "all is kept"
    );
    let path = |path: &str| path.split(['/', '?']).nth(2).unwrap().to_owned();
    journal
        .iter()
        .map(|entry| path(&entry.path_and_query))
        .collect()
}

/// The decisions that allowed, by the name of the secret, each with its result if there is one.
fn allowed(records: &[Value]) -> BTreeMap<String, Option<&Value>> {
    let of_type = |kind: &'static str| records.iter().filter(move |line| line["type"] == kind);
    let result = |id: &Value| of_type("result").find(|line| line["decision_id"] == *id);
    of_type("decision")
        .filter(|line| line["decision"] == "allow")
        .map(|line| {
            (
                line["object"].as_str().unwrap().to_owned(),
                result(&line["decision_id"]),
            )
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_under_load_answers_what_was_accepted_and_forwards_nothing_else() {
    let world = Surroundings::start().await;
    let running = Running::start(&world, &world.toml("")).await;
    let load = Load::begin(&world, &running.client);
    soon(world.vault.reached(200)).await;
    running.process.signal("TERM");
    let outcome = running.process.end().await;
    let seen = load.end().await;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let records = lines(&outcome.stdout);
    is_complete(&records);
    let (forwarded, allowed) = (forwarded(&world), allowed(&records));
    assert!(seen.answered.len() >= 200 && !seen.failed.is_empty());
    assert_eq!(forwarded, seen.answered, "what was forwarded was answered");
    assert_eq!(forwarded, allowed.keys().cloned().collect());
    for (name, result) in allowed {
        let result = result.unwrap_or_else(|| panic!("{name} has no result"));
        let told = (
            &result["status"],
            &result["aborted"],
            &result["upstream"]["sent"],
        );
        assert_eq!(told, (&404.into(), &false.into(), &true.into()), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_under_load_leaves_a_record_of_all_that_was_forwarded() {
    let world = Surroundings::start().await;
    fs::create_dir(world.path("records")).unwrap();
    let running = Running::start(&world, &world.toml(FILE_SINK)).await;
    let load = Load::begin(&world, &running.client);
    soon(world.vault.reached(200)).await;
    running.process.signal("KILL");
    assert_eq!(running.process.end().await.code, None);
    let seen = load.end().await;
    let text = fs::read_to_string(world.path("records/decisions.jsonl")).unwrap();
    let records = lines(&text);
    is_complete(&records);
    let (forwarded, allowed) = (forwarded(&world), allowed(&records));
    assert!(seen.answered.is_subset(&forwarded));
    let recorded: BTreeSet<String> = allowed.keys().cloned().collect();
    assert!(
        forwarded.is_subset(&recorded),
        "{:?}",
        forwarded.difference(&recorded)
    );
}

/// Starts a proxy whose records go to a file system of its own with room for little. `None` where
/// the machine does not let us mount one.
async fn on_a_small_disk(world: &Surroundings) -> Option<Running> {
    let records = world.path("records");
    fs::create_dir(&records).unwrap();
    let mount = format!("mount -t tmpfs -o size=64k none {}", records.display());
    let mut may = Command::new("unshare");
    may.args(["-m", "sh", "-c", &mount]);
    if !may.output().is_ok_and(|output| output.status.success()) {
        skip("this user may not mount a file system");
        return None;
    }
    let started = shell(&mount, &run(&world.write(&world.toml(FILE_SINK))));
    let mut command = Command::new("unshare");
    command.args(["-m", "--"]).arg(started.get_program());
    command.args(started.get_args());
    Some(Running::spawn(world, command).await)
}

/// Writes to a file until there is no room for more.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    while file.write(&[0; 512]).is_ok() {}
}

/// Asks until the answer is `expected`, or something is answered that is neither that nor `meanwhile`.
async fn comes_to(running: &Running, token: &str, expected: (u16, &str), meanwhile: (u16, &str)) {
    until(async || {
        let answer = running.client.secret(token).await;
        let verdict = answer.verdict();
        assert!([expected, meanwhile].contains(&verdict), "{verdict:?}");
        (verdict == expected).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_everything_until_there_is_room() {
    const FINE: (u16, &str) = (200, "");
    const REFUSED: (u16, &str) = (503, "audit_unavailable");
    let world = Surroundings::start().await;
    let Some(running) = on_a_small_disk(&world).await else {
        return;
    };
    let token = world.token(people::SECRETS_USER);
    assert_eq!(running.client.secret(&token).await.verdict(), FINE);
    // The mount is seen by that process alone.
    let inside = format!(
        "/proc/{}/root{}",
        running.process.id(),
        world.path("records").display()
    );
    let filler = Path::new(&inside).join("filler");
    fill(&filler);
    comes_to(&running, &token, REFUSED, FINE).await;
    let before = world.vault.journal_len();
    for _ in 0..20 {
        let asked = Instant::now();
        assert_eq!(running.client.secret(&token).await.verdict(), REFUSED);
        assert!(asked.elapsed() < BOUNDED);
    }
    assert_eq!(world.vault.journal_len(), before);
    let readiness = running
        .administration
        .readiness(|now| !now.is_ready())
        .await;
    assert!(!readiness.holds("audit"));
    fs::remove_file(&filler).unwrap();
    comes_to(&running, &token, FINE, REFUSED).await;
    running.administration.readiness(|now| now.is_ready()).await;
    // Those that were refused are on record too, now that there is room.
    let file = Path::new(&inside).join("decisions.jsonl");
    let records = until(async || {
        let records = lines(&fs::read_to_string(&file).unwrap());
        let refused = records.iter().filter(|line| line["reason"] == REFUSED.1);
        (refused.count() >= 20).then_some(records)
    })
    .await;
    is_complete(&records);
    assert_eq!(
        running.administration.metrics().await["portcullis_audit_dropped_total"],
        0.0
    );
    let answered = records
        .iter()
        .filter(|line| line["decision"] == "allow")
        .count();
    assert_eq!(answered as u64, world.vault.journal_len());
    running.process.signal("TERM");
    assert_eq!(running.process.end().await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_nobody_reads_refuses_everything_until_somebody_does() {
    let world = Surroundings::start().await;
    fs::create_dir(world.path("records")).unwrap();
    let fifo = world.path("records/decisions.jsonl");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    // Open at both ends, so that nobody waits for the other.
    let mut reader = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&fifo)
        .unwrap();
    let running = Running::start(&world, &world.toml(FILE_SINK)).await;
    let token = world.token(people::SECRETS_USER);
    let mut fine = 0;
    let refused = loop {
        let asked = Instant::now();
        let answer = running.client.secret(&token).await;
        assert!(asked.elapsed() < BOUNDED);
        if answer.status != 200 {
            break answer;
        }
        fine += 1;
        assert!(fine < 10_000, "a pipe does not hold so much");
    };
    assert_eq!(refused.verdict(), (503, "audit_unavailable"));
    assert_eq!(world.vault.journal_len(), fine);
    assert!(!running.administration.ready().await.holds("audit"));
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        while reader.read(&mut bytes).is_ok_and(|count| count > 0) {}
    });
    comes_to(&running, &token, (200, ""), (503, "audit_unavailable")).await;
    running.administration.readiness(|now| now.is_ready()).await;
    running.process.signal("TERM");
    assert_eq!(running.process.end().await.code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_without_descriptors_left_serves_again_when_there_are_some() {
    let world = Surroundings::start().await;
    let started = shell("ulimit -n 64", &run(&world.write(&world.toml(""))));
    let running = Running::spawn(&world, started).await;
    let token = world.token(people::SECRETS_USER);
    let mut held = Vec::new();
    for _ in 0..64 {
        held.push(soon(TcpStream::connect(running.address)).await.unwrap());
    }
    // One that comes now is not served before its time is over, or that of others.
    let waiting = tokio::spawn({
        let (client, token) = (running.client.clone(), token.clone());
        async move { client.try_secret(&token).await }
    });
    until(async || {
        let descriptors = fs::read_dir(format!("/proc/{}/fd", running.process.id()));
        (descriptors.unwrap().count() >= 64).then_some(())
    })
    .await;
    drop(held);
    let waited = soon(waiting).await.unwrap().unwrap();
    assert!(
        [200, 502].contains(&waited.status.as_u16()),
        "{:?}",
        waited.verdict()
    );
    comes_to(&running, &token, (200, ""), (502, "upstream_error")).await;
    let failed = r#"portcullis_connections_total{listener="main",result="aborted"}"#;
    let metrics = running.administration.metrics().await;
    assert!(metrics[failed] > 0.0, "{metrics:?}");
    running.process.signal("TERM");
    let outcome = running.process.end().await;
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    is_complete(&lines(&outcome.stdout));
}
