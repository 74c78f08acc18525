//! What a load of role data costs: read from memory, read from disk and merged, compiled.
//!
//! `cargo bench --bench load`; `PORTCULLIS_ASSIGNMENTS=100,4000` measures tenants of these sizes
//! only. The largest of all needs a gigabyte of disk.

#[path = "support/exports.rs"]
mod exports;
#[path = "support/sizes.rs"]
mod sizes;

use std::fs;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use portcullis::assignments::{self, wire};
use portcullis::rbac::{AssignmentSet, Revision};

use exports::{Exports, vault};
use sizes::{Failure, sizes, tenant};

fn bench(criterion: &mut Criterion, size: usize) -> Result<(), Failure> {
    let tenant = tenant(size);
    let exports = Exports::of(&tenant)?;
    let vaults = [vault(&tenant)?];
    drop(tenant);
    let mut group = criterion.benchmark_group("load");
    group.sampling_mode(SamplingMode::Flat).sample_size(10);

    // One file of those that a large tenant has, whole: how fast bytes are read.
    let bytes = fs::read(exports.path().join("assignments.json"))?;
    group.throughput(Throughput::Bytes(u64::try_from(bytes.len())?));
    group.bench_with_input(BenchmarkId::new("parse_file", size), &bytes, |b, bytes| {
        b.iter(|| wire::parse(black_box(bytes)));
    });
    drop(bytes);

    group.throughput(Throughput::Elements(u64::try_from(size)?));
    let paths = [exports.path()];
    group.bench_with_input(BenchmarkId::new("from_disk", size), &paths, |b, paths| {
        b.iter_with_large_drop(|| assignments::load(black_box(paths), &[]));
    });
    let loaded = assignments::load(&paths, &[])?;
    let revision = Revision::of(loaded.fingerprint);
    group.bench_with_input(BenchmarkId::new("compile", size), &loaded, |b, loaded| {
        b.iter_with_large_drop(|| AssignmentSet::compile(&loaded.data, &vaults, revision));
    });
    group.finish();
    Ok(())
}

fn main() -> Result<(), Failure> {
    let mut criterion = Criterion::default().configure_from_args();
    for size in sizes()? {
        bench(&mut criterion, size)?;
    }
    criterion.final_summary();
    Ok(())
}
