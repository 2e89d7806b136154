//! Payloads as they lie on disk: compressed: fewer bytes to write save more time than it takes.
//!
//! What GitHub writes in every payload is in a dictionary. Each row names the one it was packed with, so a dictionary
//! once used is never changed and never taken away: a better one gets a number and a place behind the others.

use std::{
    cell::RefCell,
    io::{self, Read},
    sync::LazyLock,
};

use zstd::{
    bulk::Compressor,
    dict::{DecoderDictionary, EncoderDictionary},
    stream::read::Decoder,
    zstd_safe::{
        CParameter, DictAttachPref, compress_bound, get_dict_id_from_dict, get_dict_id_from_frame,
        get_frame_content_size,
    },
};

use crate::store::StoreError;

/// Fast rather than small: the next levels win a few percent of space for half as much time again.
const LEVEL: i32 = 1;

/// Working memory beyond this is given back, in bytes.
const MOST_KEPT: usize = 256 * 1024;

/// All dictionaries there ever were; the last is used for what is new. The first: trained by `zstd --train` on made-up
/// payloads of issues and of pull requests that were not just opened.
const DICTIONARIES: [&[u8]; 1] = [include_bytes!("payload-1.dict")];

static ENCODER: LazyLock<EncoderDictionary<'static>> =
    LazyLock::new(|| EncoderDictionary::copy(DICTIONARIES[DICTIONARIES.len() - 1], LEVEL));

static DECODERS: LazyLock<[DecoderDictionary<'static>; DICTIONARIES.len()]> =
    LazyLock::new(|| DICTIONARIES.map(DecoderDictionary::copy));

/// Compresses a payload. The working memory, which is larger than most payloads, is kept from one to the next.
pub(crate) fn pack(payload: &[u8]) -> Result<Vec<u8>, StoreError> {
    thread_local! {
        static WORKING: RefCell<Option<(Compressor<'static>, Vec<u8>)>> = const { RefCell::new(None) };
    }
    let packed = WORKING.with_borrow_mut(|working| {
        let (compressor, room) = match working {
            Some(working) => working,
            None => working.insert((compressor()?, Vec::new())),
        };
        room.clear();
        room.reserve(compress_bound(payload.len()));
        compressor.compress_to_buffer(payload, room)?;
        let packed = room.to_vec();
        if room.capacity() > MOST_KEPT {
            *room = Vec::new();
        }
        Ok(packed)
    });
    packed.map_err(|error: io::Error| StoreError::Corrupt(error.to_string()))
}

fn compressor() -> io::Result<Compressor<'static>> {
    let mut compressor = Compressor::with_prepared_dictionary(&ENCODER)?;
    // For payloads of more than 8 KB its tables would be copied first, which takes longer than looking into two.
    compressor.set_parameter(CParameter::ForceAttachDict(DictAttachPref::ForceAttach))?;
    Ok(compressor)
}

/// A payload as it lies on disk: undone where there is time for it, which is not while its row is read.
#[derive(Debug, Clone)]
pub struct Packed(Vec<u8>);

impl Packed {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// What it will be, in bytes.
    pub fn size(&self) -> usize {
        let said = get_frame_content_size(&self.0).ok().flatten();
        said.and_then(|size| usize::try_from(size).ok()).unwrap_or(self.0.len())
    }

    /// The JSON, as received. An error if it is damaged.
    pub fn unpack(&self) -> Result<Vec<u8>, StoreError> {
        unpack(&self.0)
    }
}

/// Undoes [`pack`], with whichever dictionary it was done.
fn unpack(packed: &[u8]) -> Result<Vec<u8>, StoreError> {
    let unpacked = match get_dict_id_from_frame(packed) {
        None => zstd::stream::decode_all(packed),
        Some(id) => {
            let at = DICTIONARIES.iter().position(|dictionary| get_dict_id_from_dict(dictionary) == Some(id));
            let at =
                at.ok_or_else(|| StoreError::Corrupt(format!("payload packed with dictionary {id}, unknown here")))?;
            let mut unpacked = Vec::new();
            let read = Decoder::with_prepared_dictionary(packed, &DECODERS[at])
                .and_then(|mut decoder| decoder.read_to_end(&mut unpacked));
            read.map(|_| unpacked)
        }
    };
    unpacked.map_err(|error| StoreError::Corrupt(error.to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use sha2::{Digest, Sha256};

    use super::*;

    const OPENED: &[u8] = include_bytes!("../../../fixtures/webhooks/pull_request.opened.json");

    #[test]
    fn whatever_is_packed_is_the_same_when_it_is_unpacked() {
        for payload in [OPENED, b"", b"{}", &[0xff; 70_000]] {
            let packed = Packed(pack(payload).unwrap());
            assert_eq!((packed.size(), packed.unpack().unwrap()), (payload.len(), payload.to_vec()));
        }
    }

    #[test]
    fn what_was_packed_before_there_was_a_dictionary_is_still_read() {
        let packed = zstd::bulk::compress(OPENED, LEVEL).unwrap();
        assert!(pack(OPENED).unwrap().len() < packed.len());
        assert_eq!(unpack(&packed).unwrap(), OPENED);
    }

    #[test]
    fn dictionaries_stay_as_they_were_when_rows_were_packed_with_them() {
        let digests = DICTIONARIES.map(|dictionary| hex::encode(Sha256::digest(dictionary)));
        assert_eq!(digests, ["c8eac26c67732f488afe83f3219feba293c380884c2e42d48f32b23af546acec"]);
        let ids = DICTIONARIES.map(|dictionary| get_dict_id_from_dict(dictionary).unwrap().get());
        assert_eq!(ids, [32_769]);
    }

    #[test]
    fn a_dictionary_that_is_not_known_and_damage_are_told_and_nothing_is_made_up() {
        let mut packed = pack(OPENED).unwrap();
        assert!(unpack(&packed[..packed.len() - 1]).is_err());
        // Magic number and descriptor stand before it.
        let id = packed.windows(2).position(|bytes| bytes == 32_769_u16.to_le_bytes()).unwrap();
        packed[id] ^= 2;
        let error = unpack(&packed).unwrap_err().to_string();
        assert!(error.contains("dictionary 32771"), "{error}");
    }
}
