//! Any request line: `METHOD target`. What is an operation is rendered as the path that came, and
//! reads as the same operation again; so what is authorized is what is sent. Gives
//! whether it is an operation.

use http::Method;
use portcullis::keyvault::route;

pub(crate) fn check(data: &[u8]) -> bool {
    let Ok(line) = std::str::from_utf8(data) else {
        return false;
    };
    let Some((method, target)) = line.split_once(' ') else {
        return false;
    };
    let Ok(method) = method.parse::<Method>() else {
        return false;
    };
    let (path, query) = halves(target);
    let Ok(operation) = route::parse(&method, path, query, &["trace".into()]) else {
        return false;
    };
    let rendered = operation.path_and_query();
    assert!(rendered.bytes().all(|byte| byte.is_ascii_graphic()));
    assert!(!rendered.contains(['\\', ';', '#']), "{rendered}");
    let (sent, question) = halves(&rendered);
    let came = path
        .strip_prefix("//")
        .map_or_else(|| path.to_owned(), |rest| format!("/{rest}"));
    assert!(sent.eq_ignore_ascii_case(&came), "{path} became {sent}");
    assert!(!sent.contains('%') && !sent.contains("/."), "{sent}");
    let again = route::parse(&method, sent, question, &["trace".into()]);
    assert_eq!(again.as_ref(), Ok(&operation), "{rendered}");
    assert_eq!(again.map(|again| again.path_and_query()), Ok(rendered));
    true
}

fn halves(target: &str) -> (&str, Option<&str>) {
    target
        .split_once('?')
        .map_or((target, None), |(path, query)| (path, Some(query)))
}
