//! Secrets at rest.
//!
//! A sealed value is `key id (4 bytes) | nonce (12) | ciphertext and tag`, AES-256-GCM, bound to the place it belongs to:
//! moved to another row it does not open. Two keys are derived from `SECRET_KEY` with HKDF, one for seals and one for
//! JWTs; the key itself is never used. Values sealed under `SECRET_KEY_PREVIOUS` still open.

use std::fmt;

use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    digest, hkdf,
    rand::{SecureRandom, SystemRandom},
};
use secrecy::{ExposeSecret, SecretString};

use crate::domain::RepoId;

/// Domain separation: changing one of these makes everything sealed or signed before unreadable.
const SALT: &[u8] = b"nectr";
const FOR_SEALS: &[u8] = b"nectr seal v1";
const FOR_JWTS: &[u8] = b"nectr jwt v1";

const KEY_ID_LEN: usize = 4;

/// Where a sealed value lives: table, column, and whose it is. Part of what is authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Table name.
    pub table: &'static str,
    /// Column name.
    pub column: &'static str,
    /// GitHub's id of the user it belongs to.
    pub github_user: i64,
    /// The repository it belongs to; none for a user's token.
    pub repo: Option<RepoId>,
}

impl Place {
    /// One encoding per place: names end with a zero byte, which none contains, and numbers have a fixed width.
    fn authenticated(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.table.len() + self.column.len() + 19);
        for name in [self.table, self.column] {
            bytes.extend_from_slice(name.as_bytes());
            bytes.push(0);
        }
        bytes.extend_from_slice(&self.github_user.to_be_bytes());
        bytes.push(u8::from(self.repo.is_some()));
        bytes.extend_from_slice(&self.repo.map_or(0, |repo| repo.0).to_be_bytes());
        bytes
    }
}

/// A sealed value could not be opened: another key, another place, or damage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stored secret cannot be opened with the present SECRET_KEY")]
pub struct CannotOpen;

/// Seals and opens. Cheap to share behind the app.
pub struct Sealer {
    current: Keys,
    previous: Option<Keys>,
}

/// What is derived from one `SECRET_KEY`.
struct Keys {
    id: [u8; KEY_ID_LEN],
    seal: LessSafeKey,
    jwt: [u8; 32],
}

impl Keys {
    fn derive(key: &SecretString) -> Self {
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, SALT).extract(key.expose_secret().as_bytes());
        let seal = expand(&root, FOR_SEALS);
        let mut id = [0; KEY_ID_LEN];
        id.copy_from_slice(&digest::digest(&digest::SHA256, &seal).as_ref()[..KEY_ID_LEN]);
        let unbound = UnboundKey::new(&AES_256_GCM, &seal).expect("an AES-256 key has 32 bytes");
        Self { id, seal: LessSafeKey::new(unbound), jwt: expand(&root, FOR_JWTS) }
    }
}

fn expand(root: &hkdf::Prk, purpose: &[u8]) -> [u8; 32] {
    let mut key = [0; 32];
    root.expand(&[purpose], hkdf::HKDF_SHA256)
        .and_then(|expanded| expanded.fill(&mut key))
        .expect("HKDF-SHA256 yields up to 8,160 bytes");
    key
}

impl Sealer {
    /// Derives the keys.
    pub fn new(current: &SecretString, previous: Option<&SecretString>) -> Self {
        Self { current: Keys::derive(current), previous: previous.map(Keys::derive) }
    }

    /// Seals `plain` for `place`.
    pub fn seal(&self, place: Place, plain: &str) -> Vec<u8> {
        let nonce: [u8; NONCE_LEN] = random();
        let mut text = plain.as_bytes().to_vec();
        self.current
            .seal
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(place.authenticated()), &mut text)
            .expect("AES-GCM seals up to 64 GiB");
        [&self.current.id[..], &nonce, &text].concat()
    }

    /// Opens what [`Sealer::seal`] made.
    pub fn open(&self, place: Place, sealed: &[u8]) -> Result<SecretString, CannotOpen> {
        let (id, rest) = sealed.split_first_chunk::<KEY_ID_LEN>().ok_or(CannotOpen)?;
        let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>().ok_or(CannotOpen)?;
        let keys = [Some(&self.current), self.previous.as_ref()].into_iter().flatten();
        // Four bytes of key id may be the same by chance: the tag decides.
        for keys in keys.filter(|keys| keys.id == *id) {
            let (nonce, mut text) = (Nonce::assume_unique_for_key(*nonce), text.to_vec());
            if let Ok(plain) = keys.seal.open_in_place(nonce, Aad::from(place.authenticated()), &mut text) {
                return std::str::from_utf8(plain).map(SecretString::from).map_err(|_| CannotOpen);
            }
        }
        Err(CannotOpen)
    }

    /// Seals anew what another key has sealed.
    pub fn reseal(&self, place: Place, sealed: &[u8]) -> Result<Vec<u8>, CannotOpen> {
        Ok(self.seal(place, self.open(place, sealed)?.expose_secret()))
    }

    /// What values begin with that the present key has sealed, and those of the previous one, if there is one and it is
    /// another.
    pub fn key_ids(&self) -> ([u8; KEY_ID_LEN], Option<[u8; KEY_ID_LEN]>) {
        let current = self.current.id;
        (current, self.previous.as_ref().map(|keys| keys.id).filter(|id| *id != current))
    }

    /// The HS256 key for new JWTs, then the one that is still accepted.
    pub fn jwt_keys(&self) -> (&[u8; 32], Option<&[u8; 32]>) {
        (&self.current.jwt, self.previous.as_ref().map(|keys| &keys.jwt))
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer")
    }
}

/// `bytes` random bytes from the operating system, as hex (twice as many characters).
pub fn random_hex(bytes: usize) -> String {
    let mut random = vec![0; bytes];
    fill(&mut random);
    hex::encode(random)
}

/// Uniform in `0.0..1.0`, for jitter.
pub fn random_unit() -> f64 {
    // The 53 bits a double holds exactly.
    (u64::from_be_bytes(random()) >> 11) as f64 / (1_u64 << 53) as f64
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    fill(&mut bytes);
    bytes
}

fn fill(bytes: &mut [u8]) {
    SystemRandom::new().fill(bytes).expect("the operating system gives random bytes");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const TOKEN: Place = Place { table: "users", column: "token", github_user: 7, repo: None };
    const SECRET: Place = Place { table: "installations", column: "secret", github_user: 7, repo: Some(RepoId(9)) };

    fn sealer(current: &str, previous: Option<&str>) -> Sealer {
        Sealer::new(&current.into(), previous.map(SecretString::from).as_ref())
    }

    fn opened(sealer: &Sealer, place: Place, sealed: &[u8]) -> Result<String, CannotOpen> {
        sealer.open(place, sealed).map(|secret| secret.expose_secret().to_owned())
    }

    #[test]
    fn what_was_sealed_opens_again() {
        let sealer = sealer("one", None);
        for plain in ["", "gho_token", "schlüssel \u{1f511}", &"x".repeat(100_000)] {
            assert_eq!(opened(&sealer, TOKEN, &sealer.seal(TOKEN, plain)).unwrap(), plain);
        }
    }

    #[test]
    fn the_sealed_bytes_begin_with_the_key_id_hide_the_text_and_never_repeat() {
        let sealer = sealer("one", None);
        let (first, second) = (sealer.seal(TOKEN, "gho_token"), sealer.seal(TOKEN, "gho_token"));
        assert_eq!(first[..4], sealer.current.id);
        assert_eq!(first.len(), 4 + 12 + "gho_token".len() + 16);
        assert_ne!(first[4..], second[4..]);
        assert!(!first.windows(9).any(|window| window == b"gho_token"));
    }

    #[test]
    fn moved_to_another_place_it_does_not_open() {
        let sealer = sealer("one", None);
        let sealed = sealer.seal(SECRET, "hush");
        for elsewhere in [
            Place { table: "users", ..SECRET },
            Place { column: "token", ..SECRET },
            Place { github_user: 8, ..SECRET },
            Place { repo: Some(RepoId(10)), ..SECRET },
            Place { repo: Some(RepoId(0)), ..SECRET },
            Place { repo: None, ..SECRET },
            Place { table: "installation", column: "ssecret", ..SECRET },
        ] {
            assert_eq!(opened(&sealer, elsewhere, &sealed), Err(CannotOpen), "{elsewhere:?}");
        }
        let nobody = sealer.seal(Place { repo: None, ..SECRET }, "hush");
        assert_eq!(opened(&sealer, Place { repo: Some(RepoId(0)), ..SECRET }, &nobody), Err(CannotOpen));
    }

    #[test]
    fn the_previous_key_still_opens_but_no_longer_seals() {
        let old = sealer("one", None);
        let sealed = old.seal(TOKEN, "gho_token");
        let rotated = sealer("two", Some("one"));
        assert_eq!(opened(&rotated, TOKEN, &sealed).unwrap(), "gho_token");
        assert_eq!(opened(&old, TOKEN, &rotated.seal(TOKEN, "new")), Err(CannotOpen));
        assert_eq!(opened(&sealer("two", None), TOKEN, &sealed), Err(CannotOpen));
    }

    #[test]
    fn damage_anywhere_is_noticed() {
        let sealer = sealer("one", None);
        let sealed = sealer.seal(TOKEN, "gho_token");
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert_eq!(opened(&sealer, TOKEN, &damaged), Err(CannotOpen), "byte {at}");
            assert_eq!(opened(&sealer, TOKEN, &sealed[..at]), Err(CannotOpen), "cut at {at}");
        }
    }

    #[test]
    fn the_derived_keys_differ_from_each_other_and_from_the_key() {
        let key = "0123456789abcdef0123456789abcdef";
        let sealer = sealer(key, Some("another"));
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, SALT).extract(key.as_bytes());
        let (jwt, previous) = sealer.jwt_keys();
        assert_ne!(*jwt, expand(&root, FOR_SEALS));
        assert_ne!(jwt, key.as_bytes());
        assert_ne!(jwt, previous.unwrap());
        assert_eq!(jwt, super::tests::sealer(key, None).jwt_keys().0);
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", sealer("one", None)), "Sealer");
    }

    #[test]
    fn random_numbers_stay_in_their_range_and_differ() {
        let units: Vec<f64> = (0..1000).map(|_| random_unit()).collect();
        assert!(units.iter().all(|unit| (0.0..1.0).contains(unit)));
        assert!(units.iter().any(|unit| *unit < 0.5) && units.iter().any(|unit| *unit >= 0.5));
        assert_eq!(random_hex(16).len(), 32);
        assert_ne!(random_hex(16), random_hex(16));
    }
}
