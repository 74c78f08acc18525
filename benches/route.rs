//! What a request line costs: read to an operation, and written from it again.
//!
//! `cargo bench --bench route`

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion};
use http::Method;
use portcullis::keyvault::route::{self, RouteError};

/// What it is, method, path, query.
type Line = (&'static str, Method, &'static str, &'static str);

const LINES: [Line; 6] = [
    (
        "secret",
        Method::GET,
        "/secrets/checkout-db-prod",
        "api-version=7.4",
    ),
    (
        "secret_version",
        Method::GET,
        "/secrets/checkout-db-prod/0a1b2c3d4e5f60718293a4b5c6d7e8f9",
        "api-version=2026-04-01",
    ),
    // As older clients write it.
    (
        "secret_doubled_slash",
        Method::GET,
        "//secrets/checkout-db-prod/",
        "api-version=7.4",
    ),
    (
        "sign",
        Method::POST,
        "/keys/checkout-signing/0a1b2c3d4e5f60718293a4b5c6d7e8f9/sign",
        "api-version=7.4",
    ),
    (
        "list_page",
        Method::GET,
        "/secrets",
        "api-version=7.4&$skiptoken=eyJOZXh0TWFya2VyIjoiMiExMDAhTURBd01ESTEifQ&maxresults=25",
    ),
    (
        "pending_merge",
        Method::POST,
        "/certificates/checkout-tls/pending/merge",
        "api-version=7.4",
    ),
];

const REFUSED: [Line; 2] = [
    (
        "escape",
        Method::GET,
        "/secrets/%2e%2e/keys",
        "api-version=7.4",
    ),
    (
        "unknown",
        Method::GET,
        "/secrets/checkout-db-prod/0a1b2c3d4e5f60718293a4b5c6d7e8f9/value",
        "api-version=7.4",
    ),
];

fn bench(criterion: &mut Criterion) -> Result<(), RouteError> {
    let mut group = criterion.benchmark_group("route");
    for (what, method, path, query) in &LINES {
        let operation = route::parse(method, path, Some(query), &[])?;
        group.bench_function(BenchmarkId::new("parse", what), |b| {
            b.iter(|| route::parse(method, black_box(path), Some(black_box(query)), &[]));
        });
        group.bench_function(BenchmarkId::new("render", what), |b| {
            b.iter(|| black_box(&operation).path_and_query());
        });
    }
    for (what, method, path, query) in &REFUSED {
        assert!(
            route::parse(method, path, Some(query), &[]).is_err(),
            "{what}"
        );
        group.bench_function(BenchmarkId::new("refuse", what), |b| {
            b.iter(|| route::parse(method, black_box(path), Some(black_box(query)), &[]));
        });
    }
    group.finish();
    Ok(())
}

fn main() -> Result<(), RouteError> {
    let mut criterion = Criterion::default().configure_from_args();
    bench(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}
