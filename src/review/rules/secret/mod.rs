//! `secret`: a key of a known provider, or a private key, in the lines a pull request adds.
//!
//! Only formats with a fixed shape are looked for, so that a hit is nearly certain. The value itself never leaves
//! this module: not in a message, not in a key (a hash), and [`redact`] takes it out of everything that is posted.

mod formats;

use std::{
    borrow::Cow,
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
    ops::Range,
};

use self::formats::{FORMATS, Format};
use super::{Change, Hit};
use crate::domain::{
    diff::{Hunk, LineKind},
    review::Severity,
};

/// What stands for a value that was taken out.
const REDACTED: &str = "[secret removed]";

pub(super) fn check(change: &Change<'_>) -> Vec<Hit> {
    let likely: Vec<_> = FORMATS.iter().filter(|format| change.mentions(format.hints)).collect();
    let mut hits = Vec::new();
    if !likely.is_empty() {
        provider_keys(change, &likely, &mut hits);
    }
    if change.text.contains("PRIVATE KEY") {
        private_keys(change, &mut hits);
    }
    hits.sort_by_key(|hit| hit.line);
    hits
}

fn provider_keys(change: &Change<'_>, likely: &[&Format], hits: &mut Vec<Hit>) {
    // A value that was in the file before is not this change's doing.
    let mut known: HashSet<u64> = HashSet::new();
    for line in change.patch.lines().filter(|line| line.kind != LineKind::Added) {
        known.extend(likely.iter().flat_map(|format| format.find(line.text)).map(|at| fingerprint(&line.text[at])));
    }
    for (number, line) in change.added() {
        for format in likely {
            for at in format.find(line.text) {
                let value = &line.text[at];
                if is_placeholder(value) || !known.insert(fingerprint(value)) {
                    continue;
                }
                hits.push(Hit {
                    severity: if in_docs(change) { Severity::Warn } else { Severity::Block },
                    line: number,
                    message: format!(
                        "This looks like {}. Whoever can read the repository can use it, and it stays in the history: \
                         revoke it, then read a new one from the environment or a secret store.",
                        format.name
                    ),
                    fix: None,
                    key: Some(fingerprint(value)),
                });
            }
        }
    }
}

fn private_keys(change: &Change<'_>, hits: &mut Vec<Hit>) {
    let mut known: HashSet<u64> = HashSet::new();
    for hunk in &change.patch.hunks {
        let old = || hunk.lines.iter().filter(|line| line.kind != LineKind::Added).map(|line| line.text);
        known.extend(blocks(old()).map(|(_, material)| fingerprint(material)));
    }
    for hunk in &change.patch.hunks {
        for (number, material) in new_blocks(hunk) {
            if !known.insert(fingerprint(material)) {
                continue;
            }
            hits.push(Hit {
                // Tests of anything with TLS carry keys made for them; `judge` lowers this once more.
                severity: if in_docs(change) || change.place.test { Severity::Warn } else { Severity::Block },
                line: number,
                message: "This looks like a private key. Whoever can read the repository can use it, and it stays in \
                          the history: replace the key pair and keep the new private key in a secret store."
                    .to_owned(),
                fix: None,
                key: Some(fingerprint(material)),
            });
        }
    }
}

/// Private keys of which the first line is added: where they begin, and what tells them apart.
fn new_blocks<'h>(hunk: &'h Hunk<'_>) -> impl Iterator<Item = (u32, &'h str)> {
    let head: Vec<_> = hunk.head().collect();
    let texts: Vec<&'h str> = head.iter().map(|(_, line)| line.text).collect();
    let found: Vec<_> = blocks(texts.into_iter()).collect();
    found.into_iter().filter_map(move |(at, material)| {
        let (number, line) = head.get(at)?;
        (line.kind == LineKind::Added).then_some((*number, material))
    })
}

/// The header of a private key with key material right behind it: on the same line, or on one of the next three
/// (after headers such as `Proc-Type`). Code that only knows the header has none.
fn blocks<'t>(lines: impl Iterator<Item = &'t str>) -> impl Iterator<Item = (usize, &'t str)> {
    let lines: Vec<_> = lines.collect();
    let mut found = Vec::new();
    for (at, text) in lines.iter().enumerate() {
        let Some(header) = formats::KEY_HEADER.find(text) else { continue };
        let same = &text[header.end()..];
        let next = lines[at + 1..].iter().take(3).take_while(|line| !line.contains("-----")).copied();
        let material = std::iter::once(same).chain(next).flat_map(|text| formats::KEY_MATERIAL.find_iter(text));
        let material = material.map(|found| found.as_str()).find(|run| bits(run) >= 3.5 && !is_placeholder(run));
        found.extend(material.map(|run| (at, run)));
    }
    found.into_iter()
}

fn in_docs(change: &Change<'_>) -> bool {
    !change.place.test && (change.place.docs || change.place.example)
}

/// `text` without the secrets in it, placeholders included: nothing that has the shape of a secret is repeated.
pub fn redact(text: &str) -> Cow<'_, str> {
    let likely = FORMATS.iter().filter(|format| format.hints.iter().any(|hint| text.contains(hint)));
    let mut spans: Vec<Range<usize>> = likely.flat_map(|format| format.find(text)).collect();
    if text.contains("PRIVATE KEY") {
        spans.extend(formats::KEY_BLOCK.find_iter(text).map(|found| found.range()));
    }
    if spans.is_empty() {
        return Cow::Borrowed(text);
    }
    spans.sort_by_key(|span| span.start);
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    for span in spans {
        if span.start >= at {
            out.push_str(&text[at..span.start]);
            out.push_str(REDACTED);
        }
        at = at.max(span.end);
    }
    out.push_str(&text[at..]);
    Cow::Owned(out)
}

impl Format {
    /// Where values of this format stand in a text.
    fn find(&self, text: &str) -> Vec<Range<usize>> {
        if !self.hints.iter().any(|hint| text.contains(hint)) {
            return Vec::new();
        }
        let word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        self.pattern
            .find_iter(text)
            .map(|found| found.range())
            .filter(|at| {
                let before = at.start.checked_sub(1).and_then(|before| text.as_bytes().get(before));
                let value = &text[at.clone()];
                let prefix = self.hints.iter().filter_map(|hint| Some(value.find(hint)? + hint.len())).max();
                !word(before) && !word(text.as_bytes().get(at.end)) && bits(&value[prefix.unwrap_or(0)..]) >= self.floor
            })
            .collect()
    }
}

/// Shannon entropy in bits per character: 0 for one character repeated, at most 4 for hex, near 5 for a random token.
fn bits(text: &str) -> f64 {
    let mut counts = [0_u32; 256];
    text.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
    let total = text.len() as f64;
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| f64::from(*count) / total)
        .map(|share| -share * share.log2())
        .sum()
}

/// What people write where a secret would go.
fn is_placeholder(value: &str) -> bool {
    const WORDS: [&str; 12] = [
        "example",
        "xxxx",
        "your_",
        "your-",
        "yourtoken",
        "placeholder",
        "changeme",
        "dummy",
        "redacted",
        "fake",
        "sample",
        "notreal",
    ];
    let value = value.to_ascii_lowercase();
    let distinct: HashSet<u8> = value.bytes().rev().take(16).collect();
    WORDS.iter().any(|word| value.contains(word)) || distinct.len() <= 3
}

fn fingerprint(value: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
