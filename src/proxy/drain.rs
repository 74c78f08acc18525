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
}

impl Drain {
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
        trigger.start();
        let mut late = early.clone();
        early.started().await;
        late.started().await;
    }

    #[tokio::test]
    async fn a_dropped_trigger_starts_draining() {
        let (trigger, mut drain) = channel();
        drop(trigger);
        drain.started().await;
    }
}
