//! What is printed is read as the same tree.

use portcullis::abac::{MAX_BYTES, Mode, parse};
use proptest::prelude::*;

use crate::trees;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_tree_on_one_line_is_read_as_itself(expr in trees::expr()) {
        let text = expr.to_string();
        prop_assume!(text.len() <= MAX_BYTES);
        prop_assert_eq!(parse(&text, Mode::Compatible), Ok(expr));
    }

    #[test]
    fn a_tree_laid_out_is_read_as_itself(expr in trees::expr()) {
        let text = expr.layout().to_string();
        prop_assume!(text.len() <= MAX_BYTES);
        prop_assert_eq!(parse(&text, Mode::Compatible), Ok(expr));
    }
}

/// What is read at the greatest depth, printed, must be readable again.
#[test]
fn printing_never_nests_deeper_than_the_text_did() {
    let leaf = "Exists@Request[a]";
    let texts = [
        format!("{}{leaf}", "NOT ".repeat(64)),
        format!("{}{leaf}{}", "!(".repeat(64), ")".repeat(64)),
        format!("{}{leaf}{}", "(".repeat(64), ")".repeat(64)),
        format!(
            "{}{leaf}{}",
            format!("{leaf} OR !(").repeat(64),
            ")".repeat(64)
        ),
        format!(
            "{}{leaf}{}",
            format!("{leaf} OR ({leaf} AND (").repeat(32),
            "))".repeat(32)
        ),
    ];
    for text in texts {
        let expr = parse(&text, Mode::Strict).unwrap_or_else(|e| panic!("{}", e.render(&text)));
        let layouts = [expr.to_string(), expr.layout().to_string()];
        for printed in layouts.into_iter().filter(|text| text.len() <= MAX_BYTES) {
            assert_eq!(
                parse(&printed, Mode::Strict).as_ref(),
                Ok(&expr),
                "{printed}"
            );
        }
    }
}

#[test]
fn the_layout_follows_the_guards() {
    let text = "!(ActionMatches{'a'} AND NOT SubOperationMatches{'s'}) AND \
        !(ActionMatches{'b'}) OR @Resource[p/t:name] StringEquals 'x'";
    let text = format!("({}", text.replace(" OR ", ") OR "));
    let layout = parse(&text, Mode::Strict).unwrap().layout().to_string();
    let expected = "\
(
 (
  !(ActionMatches{'a'} AND NOT SubOperationMatches{'s'})
  AND
  !(ActionMatches{'b'})
 )
 OR
 (
  @Resource[p/t:name] StringEquals 'x'
 )
)";
    assert_eq!(layout, expected);
}

#[test]
fn a_negation_of_much_is_laid_out_too() {
    let text = "NOT ((Exists @Resource[a] OR Exists @Resource[b]) AND Exists @Resource[c])";
    let layout = parse(text, Mode::Strict).unwrap().layout().to_string();
    let expected = "\
!(
 (
  Exists @Resource[a]
  OR
  Exists @Resource[b]
 )
 AND
 Exists @Resource[c]
)";
    assert_eq!(layout, expected);
}
