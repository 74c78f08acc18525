//! What it costs to know who is calling: a token taken from the headers, one that was validated
//! before, and one that was never seen.
//!
//! `cargo bench --bench token`

#[path = "support/tokens.rs"]
mod tokens;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::Criterion;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use portcullis::authn::{Authenticator, bearer};
use portcullis::secret::BearerToken;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use tokens::{Failure, ISSUER, Signer, authenticator};

/// How many different tokens there are: fewer than are remembered.
const POOL: usize = 2000;

struct Setting {
    runtime: Runtime,
    directory: TempDir,
    pool: Vec<BearerToken>,
}

impl Setting {
    fn new() -> Result<Self, Failure> {
        let signer = Signer::new()?;
        let directory = tempfile::tempdir()?;
        signer.write_keys(&directory.path().join("keys.json"))?;
        let pool = (0..POOL).map(|number| Ok(BearerToken::new(&signer.token(number)?)?));
        Ok(Self {
            runtime: Builder::new_current_thread().enable_all().build()?,
            directory,
            pool: pool.collect::<Result<_, Failure>>()?,
        })
    }

    /// How long it takes to judge `count` tokens, none of which has been seen.
    fn unseen(&self, mut count: usize) -> Result<Duration, Failure> {
        let keys = self.directory.path().join("keys.json");
        let mut took = Duration::ZERO;
        while count > 0 {
            let round = self.pool.get(..count).unwrap_or(&self.pool);
            took += self.runtime.block_on(async {
                let (authenticator, _refresh) = authenticator(&keys).await?;
                judge(&authenticator, round).await
            })?;
            count -= round.len();
        }
        Ok(took)
    }
}

async fn judge(authenticator: &Authenticator, tokens: &[BearerToken]) -> Result<Duration, Failure> {
    let began = Instant::now();
    for token in tokens {
        black_box(authenticator.authenticate(ISSUER, black_box(token)).await?);
    }
    Ok(began.elapsed())
}

/// Runs a measurement that can fail; what failed is told when it is over.
fn timed(
    failure: &mut Option<Failure>,
    iterations: u64,
    measure: impl FnOnce(usize) -> Result<Duration, Failure>,
) -> Duration {
    let count = usize::try_from(iterations).map_err(Failure::from);
    count.and_then(measure).unwrap_or_else(|error| {
        *failure = Some(error);
        Duration::from_nanos(1)
    })
}

fn bench(criterion: &mut Criterion) -> Result<(), Failure> {
    let setting = Setting::new()?;
    let first = setting.pool.first().ok_or("there is no token")?;
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, format!("Bearer {}", first.expose()).parse()?);
    bearer(&headers)?;
    criterion.bench_function("token/bearer", |b| b.iter(|| bearer(black_box(&headers))));

    let keys = setting.directory.path().join("keys.json");
    let (known, _refresh) = setting.runtime.block_on(authenticator(&keys))?;
    let mut failure = None;
    criterion.bench_function("token/known", |b| {
        b.iter_custom(|iterations| {
            timed(&mut failure, iterations, |count| {
                let began = Instant::now();
                setting.runtime.block_on(async {
                    for _ in 0..count {
                        black_box(known.authenticate(ISSUER, black_box(first)).await?);
                    }
                    Ok::<_, Failure>(())
                })?;
                Ok(began.elapsed())
            })
        });
    });
    criterion.bench_function("token/known_of_2000", |b| {
        b.iter_custom(|iterations| {
            timed(&mut failure, iterations, |count| {
                let mut took = Duration::ZERO;
                for round in rounds(&setting.pool, count) {
                    took += setting.runtime.block_on(judge(&known, round))?;
                }
                Ok(took)
            })
        });
    });
    criterion.bench_function("token/unseen", |b| {
        b.iter_custom(|iterations| timed(&mut failure, iterations, |count| setting.unseen(count)));
    });
    failure.map_or(Ok(()), Err)
}

/// `count` tokens, the whole pool again and again.
fn rounds(pool: &[BearerToken], count: usize) -> impl Iterator<Item = &[BearerToken]> {
    let mut left = count;
    std::iter::from_fn(move || {
        let round = pool.get(..left).unwrap_or(pool);
        left -= round.len();
        (!round.is_empty()).then_some(round)
    })
}

fn main() -> Result<(), Failure> {
    let mut criterion = Criterion::default().configure_from_args();
    bench(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}
