//! A manifest as bytes: magic and version, then zstd over all paths (each as what it shares with the one before and what
//! follows) and all contents. Bytes from anywhere are safe to unpack: time and memory are bounded.

use std::io::{Read, Write};

const HEADER: &[u8] = b"nectr tree 1\n";

/// Most files of a manifest that is read back.
const MAX_FILES: usize = 2_000_000;

/// Most bytes of all its paths together.
const MAX_PATHS: usize = 256 * 1024 * 1024;

/// Most bytes that are decompressed.
const MAX_UNPACKED: u64 = 256 * 1024 * 1024;

/// zstd's own window at this level is 2 MiB; a frame that wants more than 8 MiB is not ours.
const MAX_WINDOW_LOG: u32 = 23;

pub(super) fn pack(entries: &[(String, u64)]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(entries.len() * 24);
    number(&mut plain, entries.len());
    let mut before = "";
    for (path, _) in entries {
        let shared = path.bytes().zip(before.bytes()).take_while(|(a, b)| a == b).count();
        number(&mut plain, shared);
        number(&mut plain, path.len() - shared);
        plain.extend_from_slice(&path.as_bytes()[shared..]);
        before = path;
    }
    for (_, content) in entries {
        plain.extend_from_slice(&content.to_le_bytes());
    }
    // Nothing is written but memory; were it to fail all the same, the header alone is unpacked as nothing.
    compress(&plain).unwrap_or_else(|_| HEADER.to_vec())
}

pub(super) fn unpack(bytes: &[u8]) -> Option<Vec<(String, u64)>> {
    let plain = decompress(bytes.strip_prefix(HEADER)?)?;
    let mut rest = plain.as_slice();
    let count = take_number(&mut rest).filter(|count| *count <= MAX_FILES.min(plain.len()))?;
    let mut paths: Vec<String> = Vec::with_capacity(count);
    let mut total = 0;
    for _ in 0..count {
        let before = paths.last().map_or(&[][..], |path| path.as_bytes());
        let shared = before.get(..take_number(&mut rest)?)?;
        let length = take_number(&mut rest)?;
        let own = rest.split_off(..length)?;
        total += shared.len() + own.len();
        let path = String::from_utf8([shared, own].concat()).ok()?;
        if total > MAX_PATHS || paths.last().is_some_and(|before| *before >= path) {
            return None;
        }
        paths.push(path);
    }
    let (contents, []) = rest.as_chunks::<8>() else { return None };
    (contents.len() == count).then(|| paths.into_iter().zip(contents.iter().map(|c| u64::from_le_bytes(*c))).collect())
}

fn compress(plain: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = zstd::Encoder::new(HEADER.to_vec(), zstd::DEFAULT_COMPRESSION_LEVEL)?;
    encoder.include_checksum(true)?;
    encoder.write_all(plain)?;
    encoder.finish()
}

fn decompress(packed: &[u8]) -> Option<Vec<u8>> {
    let mut decoder = zstd::Decoder::new(packed).ok()?;
    decoder.window_log_max(MAX_WINDOW_LOG).ok()?;
    let mut plain = Vec::new();
    decoder.take(MAX_UNPACKED + 1).read_to_end(&mut plain).ok()?;
    (plain.len() as u64 <= MAX_UNPACKED).then_some(plain)
}

/// Seven bits a byte, least first.
fn number(into: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        into.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

fn take_number(from: &mut &[u8]) -> Option<usize> {
    let mut number = 0usize;
    // Four bytes: 2^28 is beyond every bound above.
    for shift in [0, 7, 14, 21] {
        let byte = *from.split_off_first()?;
        number |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}
