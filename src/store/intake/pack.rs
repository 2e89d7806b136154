//! Payloads as they lie on disk: compressed, a tenth of the bytes to write, which saves more time than it takes.

use std::cell::RefCell;

use zstd::bulk::Compressor;

use crate::store::StoreError;

/// Fast rather than small: the next levels win a few percent of space for half as much time again.
const LEVEL: i32 = 1;

/// Compresses a payload. The working memory, which is larger than most payloads, is kept from one to the next.
pub(crate) fn pack(payload: &[u8]) -> Result<Vec<u8>, StoreError> {
    thread_local! {
        static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    }
    let packed = COMPRESSOR.with_borrow_mut(|compressor| match compressor {
        Some(compressor) => compressor.compress(payload),
        None => compressor.insert(Compressor::new(LEVEL)?).compress(payload),
    });
    packed.map_err(|error| StoreError::Corrupt(error.to_string()))
}

/// Undoes [`pack`].
pub(crate) fn unpack(packed: &[u8]) -> Result<Vec<u8>, StoreError> {
    zstd::stream::decode_all(packed).map_err(|error| StoreError::Corrupt(error.to_string()))
}
