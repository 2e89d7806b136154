//! The text of a token: HS256 and nothing else.
//!
//! The clock is ours, not the library's, so that a token and the session it names end by the same time. What the
//! claims mean is [`super::session`]'s business.

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation,
    crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils},
    errors::{ErrorKind, Result},
    signature::{Error as SignatureError, Signer, Verifier},
};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

const ISSUER: &str = "nectr";

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Claims {
    /// Our id of the user.
    pub sub: String,
    /// When it was minted, seconds since 1970.
    pub iat: i64,
    /// The second from which it is worth nothing.
    pub exp: i64,
    iss: String,
    /// The session it belongs to, a dot, and something that makes it unlike every other token.
    pub jti: String,
}

impl Claims {
    pub(super) fn new(sub: String, iat: i64, exp: i64, jti: String) -> Self {
        Self { sub, iat, exp, iss: ISSUER.to_owned(), jti }
    }
}

/// Writes a token.
pub(super) fn sign(key: &[u8; 32], claims: &Claims) -> String {
    install();
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(key))
        .expect("strings and numbers are JSON, and HMAC takes any key")
}

/// Reads a token that one of `keys` signed and that has not expired at `now`.
pub(super) fn read(keys: (&[u8; 32], Option<&[u8; 32]>), jwt: &str, now: DateTime<Utc>) -> Option<Claims> {
    install();
    let mut rules = Validation::new(Algorithm::HS256);
    rules.set_issuer(&[ISSUER]);
    rules.set_required_spec_claims(&["exp", "iss", "sub"]);
    rules.validate_exp = false; // would ask the system's clock
    let verified = |key: &[u8; 32]| jsonwebtoken::decode::<Claims>(jwt, &DecodingKey::from_secret(key), &rules).ok();
    let claims = verified(keys.0).or_else(|| keys.1.and_then(verified))?.claims;
    (now.timestamp() < claims.exp).then_some(claims)
}

/// The library brings no cryptography of its own. Installed already is as good.
fn install() {
    static HS256: CryptoProvider = CryptoProvider {
        signer_factory: |algorithm, key| {
            only_hs256(algorithm)?;
            Ok(Box::new(Hs256::new(key.as_bytes())?))
        },
        verifier_factory: |algorithm, key| {
            only_hs256(algorithm)?;
            Ok(Box::new(Hs256::new(key.try_get_as_bytes()?)?))
        },
        key_utils: KeyUtils::new_unimplemented(),
    };
    let _ = HS256.install_default();
}

fn only_hs256(algorithm: &Algorithm) -> Result<()> {
    if *algorithm == Algorithm::HS256 { Ok(()) } else { Err(ErrorKind::InvalidAlgorithm.into()) }
}

struct Hs256(Hmac<Sha256>);

impl Hs256 {
    fn new(key: &[u8]) -> Result<Self> {
        Ok(Self(Hmac::new_from_slice(key).map_err(|_| ErrorKind::InvalidKeyFormat)?))
    }
}

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, SignatureError> {
        Ok(self.0.clone().chain_update(message).finalize().into_bytes().to_vec())
    }
}

impl Verifier<Vec<u8>> for Hs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), SignatureError> {
        // Takes the same time wherever the two differ.
        self.0.clone().chain_update(message).verify_slice(signature).map_err(SignatureError::from_source)
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::time::Duration;

    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    use chrono::TimeZone;

    use super::*;
    use crate::domain::Clock;

    const KEY: [u8; 32] = [7; 32];
    const OTHER: [u8; 32] = [8; 32];

    fn clock() -> Clock {
        Clock::manual(Utc.with_ymd_and_hms(2026, 5, 1, 12, 0, 0).unwrap())
    }

    fn claims(clock: &Clock) -> Claims {
        let now = clock.now().timestamp();
        Claims::new("5".into(), now, now + 60, "session.random".into())
    }

    /// A token put together by hand, signed with HMAC-SHA256 over whatever it says.
    fn forged(header: serde_json::Value, claims: serde_json::Value, key: &[u8]) -> String {
        let part = |json: serde_json::Value| URL_SAFE_NO_PAD.encode(json.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let signature = Hs256::new(key).unwrap().sign(message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    #[test]
    fn a_token_reads_back_as_what_was_signed() {
        let clock = clock();
        let jwt = sign(&KEY, &claims(&clock));
        assert_eq!(read((&KEY, None), &jwt, clock.now()), Some(claims(&clock)));
    }

    #[test]
    fn a_token_ends_with_the_second_it_names_and_by_our_clock() {
        let clock = clock();
        let jwt = sign(&KEY, &claims(&clock));
        clock.advance(Duration::from_millis(59_999));
        assert!(read((&KEY, None), &jwt, clock.now()).is_some());
        clock.advance(Duration::from_millis(1));
        assert!(read((&KEY, None), &jwt, clock.now()).is_none());
    }

    #[test]
    fn the_previous_key_still_verifies_and_a_foreign_one_never_does() {
        let clock = clock();
        let jwt = sign(&KEY, &claims(&clock));
        assert!(read((&OTHER, Some(&KEY)), &jwt, clock.now()).is_some());
        assert!(read((&OTHER, None), &jwt, clock.now()).is_none());
        assert!(read((&OTHER, Some(&[9; 32])), &jwt, clock.now()).is_none());
    }

    #[test]
    fn a_token_without_signature_is_worth_nothing() {
        let clock = clock();
        let jwt = sign(&KEY, &claims(&clock));
        let (message, _) = jwt.rsplit_once('.').unwrap();
        assert!(read((&KEY, None), &format!("{message}."), clock.now()).is_none());
        assert!(read((&KEY, None), message, clock.now()).is_none());
    }

    #[test]
    fn no_algorithm_but_hs256_is_accepted_even_when_the_signature_is_ours() {
        let clock = clock();
        let body = serde_json::to_value(claims(&clock)).unwrap();
        let with = |alg: &str| forged(serde_json::json!({"typ": "JWT", "alg": alg}), body.clone(), &KEY);
        assert!(read((&KEY, None), &with("HS256"), clock.now()).is_some(), "the forgery itself is sound");
        for alg in ["none", "None", "HS384", "HS512", "RS256", "ES256", "EdDSA", "hs256", ""] {
            assert!(read((&KEY, None), &with(alg), clock.now()).is_none(), "{alg}");
        }
    }

    #[test]
    fn a_token_of_another_issuer_or_with_claims_missing_is_refused() {
        let clock = clock();
        let header = serde_json::json!({"typ": "JWT", "alg": "HS256"});
        let whole = serde_json::to_value(claims(&clock)).unwrap();
        let mut foreign = whole.clone();
        foreign["iss"] = "somebody else".into();
        assert!(read((&KEY, None), &forged(header.clone(), foreign, &KEY), clock.now()).is_none());
        for claim in ["sub", "iat", "exp", "iss", "jti"] {
            let mut poorer = whole.clone();
            poorer.as_object_mut().unwrap().remove(claim);
            assert!(read((&KEY, None), &forged(header.clone(), poorer, &KEY), clock.now()).is_none(), "{claim}");
        }
    }

    #[test]
    fn rubbish_is_refused_without_a_panic() {
        for jwt in ["", ".", "..", "...", "a.b.c", "é.é.é", &"x".repeat(100_000), "eyJhbGciOiJIUzI1NiJ9..", "\0"] {
            assert!(read((&KEY, None), jwt, clock().now()).is_none());
        }
    }
}
