//! The threads on which connections are served.
//!
//! Each has a runtime of its own, and a connection stays on the thread it was given to, with the
//! connections to the vault that its requests use. So a request never waits for another core to wake
//! up, and nothing on its way is moved or locked between cores. One thread accepts for all of them
//! and gives each connection to the one that has the fewest: with a socket each (`SO_REUSEPORT`) the
//! kernel would choose by the client's port, and the handful of connections of a sidecar would
//! sooner or later meet on one core; two proxies started by mistake would also share a port without
//! a word.
//!
//! What must not wait for requests is elsewhere: administration, loading role data, renewing keys.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// The threads, which end when this is dropped, and what is left on them with them.
pub struct Workers(Vec<Thread>);

struct Thread {
    runtime: Handle,
    _stop: oneshot::Sender<()>,
}

/// One of the threads, with what answers requests there.
#[derive(Clone, Debug)]
pub struct Worker<S> {
    runtime: Handle,
    service: S,
    /// Every connection it has holds a clone.
    connections: Arc<()>,
}

impl fmt::Debug for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Workers({})", self.0.len())
    }
}

impl Workers {
    /// Starts `count` threads, at least one.
    ///
    /// # Errors
    /// The system has no more threads, or no descriptors for their runtimes.
    pub fn start(count: usize) -> io::Result<Self> {
        (0..count.max(1))
            .map(start)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The threads' runtimes, at least one.
    pub fn runtimes(&self) -> impl Iterator<Item = &Handle> {
        self.0.iter().map(|thread| &thread.runtime)
    }
}

fn start(number: usize) -> io::Result<Thread> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let (stop, stopped) = oneshot::channel();
    thread::Builder::new()
        .name(format!("worker-{number}"))
        .spawn(move || {
            // Nothing is ever sent: the other end is dropped.
            let _stopped = runtime.block_on(stopped);
        })?;
    Ok(Thread {
        runtime: handle,
        _stop: stop,
    })
}

impl<S> Worker<S> {
    /// Serves on `runtime`, whose thread has nothing else to do, with `service`.
    pub fn new(runtime: Handle, service: S) -> Self {
        Self {
            runtime,
            service,
            connections: Arc::new(()),
        }
    }

    /// A worker on the same thread with another service.
    pub fn with<T>(&self, service: impl FnOnce(&S) -> T) -> Worker<T> {
        Worker {
            runtime: self.runtime.clone(),
            service: service(&self.service),
            connections: Arc::clone(&self.connections),
        }
    }

    pub(super) const fn runtime(&self) -> &Handle {
        &self.runtime
    }

    pub(super) const fn service(&self) -> &S {
        &self.service
    }

    /// Counts a connection as this worker's until what is returned is dropped.
    pub(super) fn occupy(&self) -> Arc<()> {
        Arc::clone(&self.connections)
    }

    fn load(&self) -> usize {
        Arc::strong_count(&self.connections)
    }
}

/// The worker with the fewest connections; `None` if there are no workers.
pub(super) fn least_loaded<S>(workers: &[Worker<S>]) -> Option<&Worker<S>> {
    workers.iter().min_by_key(|worker| worker.load())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_goes_to_the_worker_with_the_fewest() {
        let threads = Workers::start(3).unwrap();
        let workers: Vec<_> = threads
            .runtimes()
            .zip(["a", "b", "c"])
            .map(|(runtime, name)| Worker::new(runtime.clone(), name))
            .collect();
        let next = || least_loaded(&workers).unwrap();
        let mut open: Vec<_> = (0..6)
            .map(|_| (*next().service(), next().occupy()))
            .collect();
        let names = |open: &[(&'static str, Arc<()>)]| {
            open.iter().map(|(name, _)| *name).collect::<String>()
        };
        assert_eq!(names(&open), "abcabc");
        open.remove(1);
        assert_eq!(*next().service(), "b");
    }

    #[test]
    fn there_is_always_a_worker() {
        assert_eq!(Workers::start(0).unwrap().runtimes().count(), 1);
    }

    #[test]
    fn dropping_the_threads_ends_what_runs_on_them() {
        let threads = Workers::start(1).unwrap();
        let (alive, gone) = std::sync::mpsc::channel::<()>();
        for runtime in threads.runtimes() {
            let alive = alive.clone();
            runtime.spawn(async move {
                std::future::pending::<()>().await;
                drop(alive);
            });
        }
        drop((alive, threads));
        assert!(gone.recv().is_err(), "nothing is sent");
    }
}
