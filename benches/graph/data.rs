//! Made-up repositories, the same every time: few files are changed often, most hardly ever, as in real ones.

use chrono::{DateTime, TimeDelta, Utc};
use nectr::domain::{
    CommitSha, PrNumber, RepoId,
    graph::{PullFact, Question, Touch, TreeFile},
    pull_request::PrState,
};

/// How large.
#[derive(Clone, Copy)]
pub struct Shape {
    pub files: usize,
    pub pulls: usize,
    /// Files of a pull request, on average.
    pub touches: usize,
}

/// A source of pull requests and questions.
pub struct World {
    shape: Shape,
    random: Random,
    next: usize,
    now: DateTime<Utc>,
}

impl World {
    pub fn new(shape: Shape) -> Self {
        Self { shape, random: Random(7), next: 0, now: Utc::now() }
    }

    /// The next pull requests, oldest first: of 200 people, one in twenty not merged, over three years.
    pub fn next_pulls(&mut self, most: usize) -> Option<Vec<PullFact>> {
        let until = (self.next + most).min(self.shape.pulls);
        let pulls: Vec<_> = (self.next..until).map(|at| self.pull(at)).collect();
        self.next = until;
        (!pulls.is_empty()).then_some(pulls)
    }

    fn pull(&mut self, at: usize) -> PullFact {
        let age = 3 * 365 * 24 * 60 * (self.shape.pulls - at) / self.shape.pulls;
        let updated_at = self.now - TimeDelta::minutes(age as i64);
        let merged = self.random.below(20) > 0;
        let count = 1 + self.random.below(2 * self.shape.touches - 1);
        let files = self.files(count);
        PullFact {
            number: PrNumber(at as i64 + 1),
            title: format!("Change number {at}"),
            author: format!("person-{}", self.random.skewed(200)),
            bot: self.random.below(10) == 0,
            state: if merged { PrState::Merged } else { PrState::Closed },
            head: CommitSha(format!("{at:040x}")),
            updated_at,
            merged_at: merged.then_some(updated_at),
            files: Some(files.into_iter().map(|path| Touch { path, hunks: vec![(10, 5), (90, 20)] }).collect()),
            closes: None,
            verdict: None,
        }
    }

    /// Neighbours of one often-changed place, and some from anywhere.
    fn files(&mut self, count: usize) -> Vec<String> {
        let place = self.random.skewed(self.shape.files);
        let mut files: Vec<usize> = (0..count)
            .map(|_| match self.random.below(4) {
                0 => self.random.skewed(self.shape.files),
                _ => (place + self.random.below(60)) % self.shape.files,
            })
            .collect();
        files.sort_unstable();
        files.dedup();
        files.into_iter().map(path).collect()
    }

    /// What a review of 1 to 30 files asks.
    pub fn question(&mut self, repo: RepoId) -> Question {
        let count = 1 + self.random.below(30);
        Question {
            repo,
            number: PrNumber(i64::MAX),
            author: format!("person-{}", self.random.skewed(200)),
            files: self.files(count),
            closes: vec![1, 2],
            now: self.now,
        }
    }
}

/// `count` files, of which the first `changed` have other contents than usual.
pub fn tree(count: usize, changed: usize) -> Vec<TreeFile> {
    (0..count)
        .map(|at| TreeFile {
            path: path(at),
            sha: format!("{:040x}", at * 7919 + usize::from(at < changed) * 1_000_000_007),
            size: (at % 20_000) as i64,
        })
        .collect()
}

fn path(at: usize) -> String {
    const EXTENSIONS: [&str; 5] = ["rs", "ts", "py", "go", "md"];
    format!("packages/service-{}/src/module_{}/file_{at}.{}", at / 2_000, at / 40, EXTENSIONS[at % EXTENSIONS.len()])
}

/// Text that compresses about as well as GitHub's.
pub fn payload(bytes: usize) -> Vec<u8> {
    let mut random = Random(u64::from(std::process::id()));
    let mut text = String::from("{");
    while text.len() < bytes {
        text.push_str(&format!(
            "\"url_{}\":\"https://api.github.com/repos/acme/shop/{:x}\",",
            random.below(40),
            random.below(1 << 30)
        ));
    }
    text.push_str("\"end\":1}");
    text.into_bytes()
}

/// A delivery id nobody has used.
pub fn guid() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    let mixed = next.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("{:08x}-{:04x}-4000-8000-{next:012x}", mixed >> 32, mixed & 0xffff)
}

/// The same numbers every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// Small numbers far more often than large ones: the first hundredth comes up a fifth of the time.
    fn skewed(&mut self, end: usize) -> usize {
        let unit = (self.next() % 1_000_000) as f64 / 1_000_000.0;
        ((unit.powi(3)) * end as f64) as usize % end
    }
}
