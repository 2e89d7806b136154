//! How much of the code each language is, by bytes, as GitHub counts.

use std::{cmp::Reverse, collections::BTreeMap};

use super::{ScanFile, keys};
use crate::domain::{language::language, profile::LanguageShare};

/// Most languages that are named, and the smallest share that is.
const MOST: usize = 20;
const SMALLEST: f64 = 0.001;

/// Languages that count as another one, as linguist groups them.
const GROUPS: &[(&str, &str)] = &[
    ("TSX", "TypeScript"),
    ("Fortran Free Form", "Fortran"),
    ("Literate Haskell", "Haskell"),
    ("Java Server Pages", "Java"),
    ("M4Sugar", "M4"),
    ("OpenCL", "C"),
    ("BibTeX", "TeX"),
    ("PostCSS", "CSS"),
    ("HTML+ERB", "HTML"),
    ("HTML+Razor", "HTML"),
    ("Terraform Template", "HCL"),
];

/// The shares, largest first.
pub(super) fn shares(tree: &[ScanFile]) -> Vec<LanguageShare> {
    let mut bytes = BTreeMap::<&str, u64>::new();
    for file in tree {
        let counted = language(&file.path).filter(|language| language.kind.counts() && keys::is_own_code(&file.path));
        if let (Some(language), Ok(size @ 1..)) = (counted, u64::try_from(file.size)) {
            let group =
                GROUPS.iter().find(|(name, _)| *name == language.name).map_or(language.name, |(_, group)| *group);
            let sum = bytes.entry(group).or_default();
            *sum = sum.saturating_add(size);
        }
    }
    let all: f64 = bytes.values().map(|bytes| *bytes as f64).sum();
    let mut bytes: Vec<_> = bytes.into_iter().collect();
    bytes.sort_by_key(|(name, bytes)| (Reverse(*bytes), *name));
    // Four digits are more than anybody reads.
    let shares = bytes.into_iter().map(|(name, bytes)| (name, (bytes as f64 / all * 10_000.0).round() / 10_000.0));
    let shares = shares.filter(|(_, share)| *share >= SMALLEST).take(MOST);
    shares.map(|(name, share)| LanguageShare { language: name.to_owned(), share }).collect()
}
