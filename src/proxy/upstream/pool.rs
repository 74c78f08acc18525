//! The idle connections to one vault.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Waker};
use std::time::Duration;

use hyper::client::conn::http1::Builder;
use tokio::time::Instant;

use super::error::NoLane;
use super::lane::Lane;
use crate::config::Limits;
use crate::proxy::connect::Connector;

/// The largest head of a vault's answer; a usual one has about 1 KiB.
const MAX_ANSWER_HEAD_BYTES: usize = 64 * 1024;

/// Makes connections to one vault and keeps those that are idle, the last used on top.
pub(super) struct Pool {
    connector: Arc<Connector>,
    settings: Builder,
    max_idle: usize,
    idle_timeout: Duration,
    shelf: Mutex<Shelf>,
}

#[derive(Default)]
struct Shelf {
    idle: Vec<Idle>,
    /// Whether a task looks through the idle lanes now and then.
    is_watched: bool,
}

struct Idle {
    lane: Box<Lane>,
    since: Instant,
}

impl Pool {
    pub(super) fn new(connector: Arc<Connector>, limits: &Limits) -> Arc<Self> {
        let mut settings = Builder::new();
        // Of headers, hyper takes a hundred; a usual answer has about 15.
        settings.max_buf_size(MAX_ANSWER_HEAD_BYTES);
        Arc::new(Self {
            connector,
            settings,
            max_idle: limits.pool_max_idle,
            idle_timeout: limits.pool_idle_timeout,
            shelf: Mutex::default(),
        })
    }

    /// A pool of the same kind with no lanes yet.
    pub(super) fn emptied(&self) -> Arc<Self> {
        Arc::new(Self {
            connector: Arc::clone(&self.connector),
            settings: self.settings.clone(),
            shelf: Mutex::default(),
            ..*self
        })
    }

    /// A lane to send a request on: an idle one that the vault has not closed, or a new one.
    pub(super) async fn lane(&self) -> Result<Box<Lane>, NoLane> {
        while let Some(Idle { mut lane, since }) = self.take() {
            let young = since.elapsed() < self.idle_timeout;
            if young && poll_fn(|cx| lane.is_idle(cx).into()).await {
                return Ok(lane);
            }
        }
        // On the heap, since few requests come here and all would carry its room.
        Box::pin(self.fresh_lane()).await
    }

    async fn fresh_lane(&self) -> Result<Box<Lane>, NoLane> {
        let stream = self.connector.connect().await?;
        Ok(Lane::open(&self.settings, stream).await?)
    }

    /// Takes a lane back that is idle.
    pub(super) fn put(self: &Arc<Self>, lane: Box<Lane>) {
        let mut shelf = self.shelf();
        if shelf.idle.len() >= self.max_idle {
            return;
        }
        let since = Instant::now();
        shelf.idle.push(Idle { lane, since });
        if !shelf.is_watched
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            shelf.is_watched = true;
            runtime.spawn(watch(Arc::downgrade(self), self.idle_timeout));
        }
    }

    fn take(&self) -> Option<Idle> {
        self.shelf().idle.pop()
    }

    /// Lets go of lanes that were idle for too long or that the vault has closed. `false` if none
    /// is left, and nobody needs to look again.
    fn sweep(&self) -> bool {
        let mut shelf = self.shelf();
        let mut cx = Context::from_waker(Waker::noop());
        shelf.idle.retain_mut(|idle| {
            idle.since.elapsed() < self.idle_timeout && idle.lane.is_idle(&mut cx)
        });
        shelf.is_watched = !shelf.idle.is_empty();
        shelf.is_watched
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        // A poisoned lock holds whole lanes all the same.
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sweeps as long as there is a pool with idle lanes.
async fn watch(pool: Weak<Pool>, idle_timeout: Duration) {
    loop {
        tokio::time::sleep(idle_timeout / 4).await;
        let Some(pool) = pool.upgrade() else {
            return;
        };
        if !pool.sweep() {
            return;
        }
    }
}
