//! `portcullis run`: serve until told to stop.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;

use super::{Context, Failure, StopSignal, runtime};
use crate::app::App;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::hardening::{self, panics};
use crate::telemetry;

/// The arguments of `portcullis run`.
#[derive(Args, Debug)]
pub(super) struct Run {
    /// The TOML file
    #[arg(long, short)]
    config: PathBuf,
}

impl Run {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let config = Config::load(&self.config, context.environment.iter().cloned())?;
        telemetry::init(&config.log)?;
        panics::watch();
        // Before the first thread.
        hardening::confine(&config, &context.environment)?;
        runtime()?.block_on(async {
            let mut stop = StopSignal::listen()?;
            let app = App::start(config, Arc::new(SystemClock)).await?;
            stop.received().await;
            tracing::info!("draining");
            app.stop().await;
            Ok(())
        })
    }
}
