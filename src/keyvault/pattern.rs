//! Patterns of actions, as role definitions and conditions write them.

/// Whether `pattern` matches the whole of `action`.
///
/// Case does not matter and white space around the pattern is ignored: Microsoft's own Key Vault
/// guide shows a custom role with a trailing space. `*` stands for any run of characters, `/`
/// included, and may occur more than once; every other character stands for itself.
///
/// Source: <https://learn.microsoft.com/azure/role-based-access-control/custom-roles#wildcard-permissions>.
pub fn matches_pattern(pattern: &str, action: &str) -> bool {
    // Bytes, because this runs for every pattern of every role with every data action: nothing is
    // copied, and only the case of ASCII letters is ignored.
    let pattern = pattern.trim().as_bytes();
    if pattern.is_empty() {
        return false;
    }
    let mut pieces = pattern.split(|byte| *byte == b'*');
    // `split` always yields a first piece; a pattern without `*` yields no other.
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = without_prefix(action.as_bytes(), first) else {
        return false;
    };
    let Some(last) = pieces.next_back() else {
        return rest.is_empty();
    };
    for piece in pieces {
        // The leftmost place is as good as any: what follows has the most room.
        let Some(after) = after_first(rest, piece) else {
            return false;
        };
        rest = after;
    }
    rest.len()
        .checked_sub(last.len())
        .and_then(|at| rest.get(at..))
        .is_some_and(|end| end.eq_ignore_ascii_case(last))
}

fn without_prefix<'a>(text: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// What follows the first occurrence of `piece`.
fn after_first<'a>(text: &'a [u8], piece: &[u8]) -> Option<&'a [u8]> {
    (0..=text.len()).find_map(|at| without_prefix(text.get(at..)?, piece))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_azure_documents() {
        for (pattern, action, expected) in [
            (
                "Microsoft.KeyVault/vaults/*",
                "Microsoft.KeyVault/vaults/secrets/getSecret/action",
                true,
            ),
            (
                "Microsoft.KeyVault/vaults/*/read",
                "Microsoft.KeyVault/vaults/keys/read",
                true,
            ),
            (
                "Microsoft.KeyVault/vaults/*/read",
                "Microsoft.KeyVault/vaults/storageaccounts/sas/read",
                true,
            ),
            (
                "Microsoft.KeyVault/vaults/*/read",
                "Microsoft.KeyVault/vaults/read",
                false,
            ),
            (
                "microsoft.keyvault/VAULTS/keys/Read ",
                "Microsoft.KeyVault/vaults/keys/read",
                true,
            ),
            (
                "Microsoft.KeyVault/vaults/keys/read",
                "Microsoft.KeyVault/vaults/keys/read/action",
                false,
            ),
            ("*", "Microsoft.KeyVault/vaults/keys/read", true),
            ("*/read", "Microsoft.KeyVault/vaults/keys/read", true),
            (
                "*/keys/*/action",
                "Microsoft.KeyVault/vaults/keys/sign/action",
                true,
            ),
            (
                "*/keys/*/action",
                "Microsoft.KeyVault/vaults/keys/read",
                false,
            ),
            (
                "Microsoft.KeyVault/vaults/keys/sign/*action",
                "Microsoft.KeyVault/vaults/keys/sign/action",
                true,
            ),
            (
                "Microsoft.KeyVault/vaults/keys/sign*sign/action",
                "Microsoft.KeyVault/vaults/keys/sign/action",
                false,
            ),
            (
                "Microsoft.KeyVault/vaults/keys/rea?",
                "Microsoft.KeyVault/vaults/keys/read",
                false,
            ),
            (
                "Microsoft.KeyVault/vaults/*/secrets/secrets/*",
                "Microsoft.KeyVault/vaults/a/secrets/secrets/secrets/b",
                true,
            ),
            ("*a*b*a*", "aBbA", true),
            ("*a*b*a*", "abb", false),
            ("**", "", true),
            ("", "", false),
            ("", "Microsoft.KeyVault/vaults/keys/read", false),
            ("  ", "Microsoft.KeyVault/vaults/keys/read", false),
        ] {
            assert_eq!(
                matches_pattern(pattern, action),
                expected,
                "`{pattern}` on `{action}`"
            );
        }
    }
}
