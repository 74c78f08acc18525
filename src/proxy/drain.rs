//! The signal that ends serving.

use tokio::sync::watch;

/// Makes the two ends of a drain signal.
pub fn channel() -> (DrainTrigger, Drain) {
    let (sender, receiver) = watch::channel(false);
    (DrainTrigger(sender), Drain(receiver))
}

/// The end that says when to stop. Dropping it says so too.
#[derive(Debug)]
pub struct DrainTrigger(watch::Sender<bool>);

/// The end that is told. Clones are all told.
#[derive(Clone, Debug)]
pub struct Drain(watch::Receiver<bool>);

impl DrainTrigger {
    /// Tells every [`Drain`] to finish what is in flight and take nothing new.
    pub fn start(&self) {
        self.0.send_replace(true);
    }

    /// A further end that is told.
    pub fn subscribe(&self) -> Drain {
        Drain(self.0.subscribe())
    }
}

impl Drain {
    /// Whether draining has started.
    pub fn has_started(&self) -> bool {
        // An error means that the trigger is gone; see below.
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Waits until draining has started; returns at once if it has.
    pub async fn started(&mut self) {
        // An error means that the trigger is gone, and with it whoever would have used it.
        let _gone = self.0.wait_for(|started| *started).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_clone_is_told_and_late_ones_too() {
        let (trigger, mut early) = channel();
        assert!(!early.has_started());
        trigger.start();
        let mut late = trigger.subscribe();
        assert!(early.has_started() && late.has_started());
        early.started().await;
        late.started().await;
    }

    #[tokio::test]
    async fn a_dropped_trigger_starts_draining() {
        let (trigger, mut drain) = channel();
        drop(trigger);
        assert!(drain.has_started());
        drain.started().await;
    }
}
