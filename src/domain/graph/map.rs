//! The files of a repository, and which of them are changed together.

use std::cmp::Reverse;

/// A file as `/files` lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileRow {
    /// From the repository's root.
    pub path: String,
    /// Programming language, if known.
    pub language: Option<String>,
    /// Bytes.
    pub size: i64,
    /// Pull requests that touch it.
    pub pulls: i64,
}

/// Files, and which of them change together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileMap {
    /// Files, most touched first, then by path; at most [`FileMap::MAX_NODES`].
    pub nodes: Vec<FileRow>,
    /// Pairs of them (in the order of their paths) and how many pull requests touch both, heaviest first, then by paths;
    /// at most [`FileMap::MAX_LINKS`].
    pub links: Vec<(String, String, i64)>,
}

impl FileMap {
    /// More could not be drawn.
    pub const MAX_NODES: usize = 700;
    /// More could not be told apart.
    pub const MAX_LINKS: usize = 2_000;

    /// How much [`FileMap::of`] has to look at: about so many numbers.
    pub fn size(nodes: &[FileRow], pulls: &[Vec<usize>]) -> usize {
        let pairs: usize = pulls.iter().map(|files| files.len() * files.len()).sum();
        nodes.len() * nodes.len() + pairs
    }

    /// Counts pairs. `pulls` says of each pull request which of the files, by place, it touches. However many those are,
    /// a pair costs nothing but an addition: a pull request over all 700 files has 244,650.
    pub fn of(nodes: Vec<FileRow>, pulls: Vec<Vec<usize>>) -> Self {
        let count = nodes.len();
        let mut by_path: Vec<usize> = (0..count).collect();
        by_path.sort_unstable_by(|a, b| nodes[*a].path.cmp(&nodes[*b].path));
        let mut rank = vec![0; count];
        for (at, place) in by_path.iter().enumerate() {
            rank[*place] = at;
        }
        let mut weights = vec![0i64; count * count];
        for mut files in pulls {
            for place in &mut files {
                *place = rank[*place];
            }
            files.sort_unstable();
            for (at, a) in files.iter().enumerate() {
                for b in &files[at + 1..] {
                    weights[a * count + b] += 1;
                }
            }
        }
        let mut pairs: Vec<_> = weights.into_iter().enumerate().filter(|(_, weight)| *weight > 0).collect();
        // Pairs are in the order of their paths, and stay so among those of one weight.
        pairs.sort_by_key(|(_, weight)| Reverse(*weight));
        pairs.truncate(Self::MAX_LINKS);
        let path = |rank: usize| nodes[by_path[rank]].path.clone();
        let links = pairs.into_iter().map(|(pair, weight)| (path(pair / count), path(pair % count), weight)).collect();
        Self { links, nodes }
    }
}
