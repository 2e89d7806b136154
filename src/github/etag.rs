//! Answers worth asking for only if they changed: a 304 costs nothing of GitHub's rate limit.
//!
//! The key holds the token (hashed), so nobody is ever served what somebody else was allowed to read; every use is
//! confirmed by GitHub first.

use bytes::Bytes;
use http::HeaderValue;
use moka::future::Cache;

use super::limits::TokenKey;

/// What all remembered bodies may weigh together.
const CAPACITY: u64 = 32 * 1024 * 1024;
/// Larger bodies are not remembered.
const LARGEST: usize = 256 * 1024;
/// About what an entry costs beside its body.
const OVERHEAD: usize = 512;

/// Who asked for what, and in which form.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Asked {
    pub(super) token: TokenKey,
    pub(super) path: String,
    pub(super) accept: &'static str,
}

/// An earlier answer.
#[derive(Clone)]
pub(super) struct Remembered {
    pub(super) etag: HeaderValue,
    pub(super) body: Bytes,
}

/// The remembered answers.
pub(super) struct Etags(Cache<Asked, Remembered>);

impl Etags {
    pub(super) fn new() -> Self {
        Self(
            Cache::builder()
                .max_capacity(CAPACITY)
                .weigher(|asked: &Asked, remembered: &Remembered| {
                    u32::try_from(OVERHEAD + asked.path.len() + remembered.body.len()).unwrap_or(u32::MAX)
                })
                .build(),
        )
    }

    pub(super) async fn recall(&self, asked: &Asked) -> Option<Remembered> {
        self.0.get(asked).await
    }

    pub(super) async fn remember(&self, asked: Asked, etag: HeaderValue, body: Bytes) {
        if body.len() <= LARGEST {
            self.0.insert(asked, Remembered { etag, body }).await;
        }
    }
}
