//! What conditions cost: read, specialised for every data action, evaluated.
//!
//! `cargo bench --bench conditions`

use std::borrow::Cow;
use std::hint::black_box;

use criterion::{BenchmarkId, Criterion};
use portcullis::abac::{
    Attribute, Attributes, Context, Form, Lookup, Mode, ParseError, Residual, Scalar, Target,
    Values, evaluate, parse,
};
use portcullis::keyvault::DataAction;

const GET: &str = "Microsoft.KeyVault/vaults/secrets/getSecret/action";

/// One test of a name behind its guard: what most conditions are.
const SMALL: &str = "((!(ActionMatches{'Microsoft.KeyVault/vaults/secrets/getSecret/action'})) OR \
    (@Resource[Microsoft.KeyVault/vaults/secrets:name] StringStartsWith 'payments-'))";

/// A pattern, a tag and the caller.
const MEDIUM: &str = "((!(ActionMatches{'Microsoft.KeyVault/vaults/secrets/getSecret/action'}) AND \
    !(ActionMatches{'Microsoft.KeyVault/vaults/secrets/readMetadata/action'} AND NOT \
    SubOperationMatches{'Secret.List'})) OR (@Resource[Microsoft.KeyVault/vaults/secrets:name] \
    StringLike '*-prod-*' AND @Resource[Microsoft.KeyVault/vaults/secrets/tags:Project\
    <$key_case_sensitive$>] ForAnyOfAnyValues:StringEquals {'Apollo', 'Baker', 'Cascade'} AND \
    @Environment[isPrivateLink] BoolEquals true))";

/// The attributes of a request that passes all three conditions, or none of them.
struct Request {
    passes: bool,
}

impl Attributes for Request {
    fn look_up(&self, attribute: &Attribute) -> Lookup<'_> {
        let text = |passing: &'static str| {
            let text = if self.passes {
                passing
            } else {
                "something-else"
            };
            Lookup::Found(Values::One(Scalar::Text(Cow::Borrowed(text))))
        };
        match &attribute.form {
            Form::Name(_) => text("payments-prod-key"),
            Form::Key(_) => text("Cascade"),
            Form::Bare => Lookup::Found(Values::One(Scalar::Boolean(self.passes))),
            Form::Keys => Lookup::Missing,
        }
    }
}

/// The largest is twelve clauses of the second kind: nearly as much as Azure stores in one.
fn conditions() -> [(&'static str, String); 3] {
    let large = vec![format!("({MEDIUM})"); 12].join(" AND ");
    [
        ("small", SMALL.to_owned()),
        ("medium", MEDIUM.to_owned()),
        ("large", large),
    ]
}

fn target(action: &str) -> Target<'_> {
    Target {
        action,
        suboperations: &[],
        can_have: &|_| true,
    }
}

fn bench(criterion: &mut Criterion) -> Result<(), ParseError> {
    for (size, text) in conditions() {
        let expr = parse(&text, Mode::Strict)?;
        let mut group = criterion.benchmark_group("conditions");
        group.bench_with_input(BenchmarkId::new("parse", size), &text, |b, text| {
            b.iter(|| parse(black_box(text), Mode::Strict));
        });
        group.bench_with_input(BenchmarkId::new("specialise_53", size), &expr, |b, expr| {
            b.iter(|| {
                for action in DataAction::ALL {
                    black_box(Residual::specialise(expr, &target(action.as_str())));
                }
            });
        });
        let residual = Residual::specialise(&expr, &target(GET));
        for passes in [true, false] {
            let request = Request { passes };
            let id = BenchmarkId::new(format!("evaluate_{passes}"), size);
            group.bench_with_input(id, &residual, |b, residual| {
                b.iter(|| residual.evaluate(None, black_box(&request)));
            });
        }
        let request = Request { passes: true };
        let context = Context {
            action: GET,
            suboperation: None,
            attributes: &request,
        };
        group.bench_with_input(BenchmarkId::new("plain", size), &expr, |b, expr| {
            b.iter(|| evaluate(black_box(expr), &context));
        });
        group.finish();
    }
    Ok(())
}

fn main() -> Result<(), ParseError> {
    let mut criterion = Criterion::default().configure_from_args();
    bench(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}
