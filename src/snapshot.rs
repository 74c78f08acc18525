//! State that is replaced whole and read often: role assignments, signing keys.
//!
//! A reader clones an `Arc` and lets go; it never waits for a writer and never sees half a change.

use std::sync::Arc;

use tokio::sync::watch;

/// The reading side. Cloning it is cheap; all clones see the same value.
#[derive(Debug)]
pub struct Snapshot<T>(watch::Receiver<Arc<T>>);

/// The writing side. There is one per value.
#[derive(Debug)]
pub struct Publisher<T>(watch::Sender<Arc<T>>);

/// Makes a publisher and its first reader, holding `initial`.
pub fn channel<T>(initial: T) -> (Publisher<T>, Snapshot<T>) {
    let (sender, receiver) = watch::channel(Arc::new(initial));
    (Publisher(sender), Snapshot(receiver))
}

impl<T> Snapshot<T> {
    /// The present value.
    pub fn load(&self) -> Arc<T> {
        self.0.borrow().clone()
    }

    /// Waits until a value is published that this reader has not waited for yet.
    ///
    /// Returns `false` once the publisher is gone and no further value can come.
    pub async fn changed(&mut self) -> bool {
        self.0.changed().await.is_ok()
    }
}

impl<T> Clone for Snapshot<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T> Publisher<T> {
    /// Replaces the value, whole.
    pub fn publish(&self, value: T) {
        self.0.send_replace(Arc::new(value));
    }

    /// The present value, as readers see it.
    pub fn load(&self) -> Arc<T> {
        self.0.borrow().clone()
    }

    /// A further reader.
    pub fn subscribe(&self) -> Snapshot<T> {
        Snapshot(self.0.subscribe())
    }
}
