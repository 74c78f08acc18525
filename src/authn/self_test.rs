//! One signature that must verify and one that must not, checked before the first token is judged.
//!
//! A signature check that always says yes, or a crypto backend that is not there, must keep the
//! proxy from starting instead of showing in the first request. The key was made for this file
//! and its private half thrown away.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;

use super::token::signed_by;

const MESSAGE: &str = "portcullis.self-test";

/// An RSA modulus of 2048 bits; the exponent is `AQAB`.
pub(super) const MODULUS: &str = "r08wSYnruXijq0mwFimLG_YMjicfgpbBLsdko91QaCNjFw7cy1ObtKQ7JmasGVP60Zv9tYcq5ijvRq9TVMiSRWPi_sBUYer6z3ijvUpBPMM27z158kBDlYlqChImnPIhqULyaPvTPnGNMV1lZmFmu-RVy6fnFtTq7ms12FX706ecKM4UJ4Iwe7udzpOGRsqtOllWwiykLkqs331Y0PsXub5NYnSLIZoc4WpocCPCwM1qpatlCC4go5GrqryjJzrBwzt8SkWKoO3H_sq6FajfanBGZaiK9ekCtIqXZfpdUOKIW9gVXJEJViUIOcqwYRfUm8rqhIMlFCsfwtwo7B7hvw";

const SIGNATURE: &str = "hixzYK3hhXWVcykhnMaw2MjxPOniRc--8dtBXRNuxS8V1YeXcYCqBq2-UySDHbNO5A-OrjmO2ImZnDdNCLWcEhta6aS4vHAxDMiSmfD8NoIHWVJNK-UhoeMxrmIoL2I3rFxDPK6Lb9EKoJDHNnuaohp2wOHezvm1xMJrcmd6qCaFG17pvPqqBScLNLzYl70Qizsy7yA9ShZCAjjEtakZqEPk9ZT-o0g6TFp9ExNALTGk3IZs8XMUQ1gMnhtrpTOyBxsu7x357AA7yK1nqsVIEp0dLYZurwIzXMxurH_8WtMRtmn3WDjW_UgZFnLrLB3rpKu5JlY9osSsahUkaHyPHA";

/// Whether signatures are told apart as they must be.
pub(super) fn passes() -> bool {
    let Ok(key) = DecodingKey::from_rsa_components(MODULUS, "AQAB") else {
        return false;
    };
    let Ok(signature) = URL_SAFE_NO_PAD.decode(SIGNATURE) else {
        return false;
    };
    let mut broken = signature.clone();
    if let Some(last) = broken.last_mut() {
        *last ^= 1;
    }
    signed_by(&key, MESSAGE, &signature)
        && !signed_by(&key, MESSAGE, &broken)
        && !signed_by(&key, "portcullis.self-tesu", &signature)
        && !signed_by(&key, MESSAGE, &[])
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_backend_tells_good_signatures_from_bad_ones() {
        assert!(super::passes());
    }
}
