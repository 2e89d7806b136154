//! HMAC-SHA256 over the raw bytes, compared in constant time.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const PREFIX: &str = "sha256=";

/// What is hashed with when there is no secret to try, so that nobody can tell an unknown webhook from a wrong secret
/// by the time the answer takes. Nothing ever fits it.
const DUMMY: &[u8] = b"no webhook has this secret";

/// Bytes whose signature held. Only [`verify`] makes one.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a>(&'a [u8]);

impl<'a> Signed<'a> {
    /// The bytes, exactly as they were signed.
    pub fn bytes(&self) -> &'a [u8] {
        self.0
    }
}

/// The signature is missing, malformed or made with another secret. Deliberately says no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Invalid webhook signature")]
pub struct BadSignature;

/// Checks `X-Hub-Signature-256` (raw header bytes; none if absent or sent twice) against each secret in turn.
/// Returns the proven bytes and the index of the secret that fitted. With no secret at all a dummy is hashed, so that
/// an unknown sender takes as long as a wrong one. An empty secret fits nothing: anybody could sign with it.
pub fn verify<'a>(
    secrets: &[impl AsRef<[u8]>],
    header: Option<&[u8]>,
    body: &'a [u8],
) -> Result<(Signed<'a>, usize), BadSignature> {
    let digest = header.and_then(digest);
    let mut hashed = false;
    if let Some(digest) = digest {
        for (index, secret) in secrets.iter().map(AsRef::as_ref).enumerate().filter(|(_, secret)| !secret.is_empty()) {
            hashed = true;
            if mac(secret, body).verify_slice(&digest).is_ok() {
                return Ok((Signed(body), index));
            }
        }
    }
    if !hashed {
        // The answer is settled; the comparison keeps the work from being optimised away.
        let _ = std::hint::black_box(mac(DUMMY, body).verify_slice(&[0; 32]));
    }
    Err(BadSignature)
}

/// The value of `X-Hub-Signature-256` for `body`: `sha256=` and 64 hex digits.
pub fn sign(secret: &[u8], body: &[u8]) -> String {
    format!("{PREFIX}{}", hex::encode(mac(secret, body).finalize().into_bytes()))
}

fn mac(secret: &[u8], body: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(secret).expect("HMAC takes keys of any length").chain_update(body)
}

fn digest(header: &[u8]) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    hex::decode_to_slice(header.strip_prefix(PREFIX.as_bytes())?, &mut digest).ok()?;
    Some(digest)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SECRET: &str = "It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";
    const VECTOR: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn accepted(header: impl AsRef<[u8]>) -> bool {
        verify(&[SECRET], Some(header.as_ref()), BODY).is_ok()
    }

    #[test]
    fn p1_githubs_own_test_vector_holds() {
        let (signed, index) = verify(&[SECRET], Some(VECTOR.as_bytes()), BODY).unwrap();
        assert_eq!((signed.bytes(), index), (BODY, 0));
        assert_eq!(sign(SECRET.as_bytes(), BODY), VECTOR);
    }

    #[test]
    fn p2_hex_digits_of_either_case_are_the_same_digest() {
        assert!(accepted(format!("sha256={}", VECTOR[7..].to_uppercase())));
    }

    #[test]
    fn p3_only_the_exact_prefix_counts() {
        let digest = &VECTOR[7..];
        for prefix in ["", "sha1=", "sha512=", "sha999=", "SHA256=", "sha256", " sha256=", "sha256= ", "garbage"] {
            assert!(!accepted(format!("{prefix}{digest}")), "{prefix:?}");
        }
    }

    #[test]
    fn p4_anything_but_64_hex_digits_is_refused_without_a_panic() {
        let digest = &VECTOR[7..];
        let twice = format!("{digest}{digest}");
        let list = format!("{digest}, sha256={digest}");
        let not_hex = format!("{}zz", &digest[..62]);
        let wide = format!("{}é", &digest[..62]);
        for bad in ["", &digest[..62], &digest[..63], &format!("{digest}00"), &twice, &list, &not_hex, &wide] {
            assert!(!accepted(format!("sha256={bad}")), "{bad:?}");
        }
        let mut raw = VECTOR.as_bytes().to_vec();
        raw[10] = 0xff;
        assert!(!accepted(raw));
    }

    #[test]
    fn p6_no_signature_is_refused_whatever_the_secret() {
        assert_eq!(verify(&[SECRET], None, BODY).unwrap_err(), BadSignature);
        assert_eq!(verify(&[""], None, BODY).unwrap_err(), BadSignature);
        assert_eq!(verify(&[""], Some(sign(b"", BODY).as_bytes()), BODY).unwrap_err(), BadSignature);
    }

    #[test]
    fn p7_one_changed_bit_in_body_or_digest_is_refused() {
        for bit in 0..BODY.len() * 8 {
            let mut body = BODY.to_vec();
            body[bit / 8] ^= 1 << (bit % 8);
            assert!(verify(&[SECRET], Some(VECTOR.as_bytes()), &body).is_err(), "bit {bit} of the body");
        }
        for bit in 0..256 {
            let mut digest = hex::decode(&VECTOR[7..]).unwrap();
            digest[bit / 8] ^= 1 << (bit % 8);
            assert!(!accepted(format!("sha256={}", hex::encode(digest))), "bit {bit} of the digest");
        }
    }

    #[test]
    fn p8_a_secret_is_used_byte_for_byte() {
        for secret in [" padded ", "schlüssel", "\u{1f511}\n", "sha256="] {
            let header = sign(secret.as_bytes(), BODY);
            assert!(verify(&[secret], Some(header.as_bytes()), BODY).is_ok(), "{secret:?}");
        }
        let header = sign(b" padded ", BODY);
        assert!(verify(&["padded"], Some(header.as_bytes()), BODY).is_err());
        assert!(verify(&[[0xff, 0x00]], Some(sign(&[0xff, 0x00], BODY).as_bytes()), BODY).is_ok());
    }

    #[test]
    fn p9_of_two_live_secrets_either_is_accepted_and_named() {
        let secrets = ["old", "", "new"];
        let index =
            |secret: &str| verify(&secrets, Some(sign(secret.as_bytes(), BODY).as_bytes()), BODY).map(|it| it.1);
        assert_eq!(index("old"), Ok(0));
        assert_eq!(index("new"), Ok(2));
        assert!(index("expired").is_err());
    }

    #[test]
    fn p10_with_no_secret_to_try_nothing_is_accepted_not_even_the_dummy() {
        let none: [&str; 0] = [];
        for header in [VECTOR.to_owned(), sign(DUMMY, BODY), format!("sha256={}", "0".repeat(64))] {
            assert_eq!(verify(&none, Some(header.as_bytes()), BODY).unwrap_err(), BadSignature);
        }
    }
}
