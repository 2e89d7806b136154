//! The issues that a pull request's text says it closes.
//!
//! Time is linear in the text, whatever it is made of, and what nobody sees (code, HTML comments) closes nothing.

mod visible;

use std::sync::LazyLock;

use regex::Regex;

use super::RepoName;

/// An issue named in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// Its repository; none: the pull request's own.
    pub repo: Option<RepoName>,
    /// Its number.
    pub number: i64,
}

/// Most issues that one text is believed to close.
pub const MAX_REFERENCES: usize = 50;

/// How much of a text is read, in bytes: what GitHub lets a description be (65,536 characters), were it ASCII.
const MAX_TEXT: usize = 64 * 1024;

/// The keyword has a border on its left that is neither a hyphen nor a slash (`bug-fixes`, `feature/fixes`), and white space
/// on its right.
static CLOSING: LazyLock<Regex> = LazyLock::new(|| {
    let name = "[A-Za-z0-9._-]{1,100}";
    let number = "([1-9][0-9]{0,9})";
    let keyword = r"(?:^|[^\w/-]|\b_)(?i:close[sd]?|fix(?:e[sd])?|resolve[sd]?):?\s+";
    let short = format!("(?:({name})/({name}))?#{number}");
    let url = format!(r"(https?://[^\s/]{{1,260}})/({name})/({name})/issues/{number}");
    #[allow(clippy::unwrap_used, reason = "a constant; the tests run it")]
    Regex::new(&format!("{keyword}(?:{short}|(?i:GH)-{number}|{url})")).unwrap()
});

/// The issues `text` closes, in order of first mention, each once, at most [`MAX_REFERENCES`]. As GitHub reads it:
/// `close[s|d]`, `fix[es|ed]` or `resolve[s|d]` in any case, an optional colon, then `#n`, `GH-n`, `owner/repo#n` or the URL
/// of an issue on `site` (scheme and host); nothing inside code or HTML comments. Each issue needs its own keyword.
pub fn closing(text: &str, site: &str) -> Vec<Reference> {
    let site = site.trim_end_matches('/');
    let mut found: Vec<Reference> = Vec::new();
    for paragraph in visible::paragraphs(&text[..text.floor_char_boundary(MAX_TEXT)]) {
        for captures in CLOSING.captures_iter(&paragraph) {
            let group = |at| captures.get(at).map(|group| group.as_str());
            let is_url = group(5).is_some();
            if goes_on(&paragraph[captures.get_match().end()..], is_url) {
                continue;
            }
            if group(5).is_some_and(|prefix| !prefix.eq_ignore_ascii_case(site)) {
                continue;
            }
            let repo = match (group(1).or(group(6)), group(2).or(group(7))) {
                (Some(owner), Some(name)) => match RepoName::new(owner, name) {
                    Some(repo) => Some(repo),
                    None => continue,
                },
                _ => None,
            };
            // GitHub's issue numbers are 32-bit integers.
            let Some(number) = group(3).or(group(4)).or(group(8)).and_then(|digits| digits.parse::<i32>().ok()) else {
                continue;
            };
            let reference = Reference { repo, number: i64::from(number) };
            if !found.contains(&reference) {
                found.push(reference);
                if found.len() == MAX_REFERENCES {
                    return found;
                }
            }
        }
    }
    found
}

/// Whether what follows a number makes it another word (`#12a`) or the URL of something else (`issues/1#issuecomment-2`).
fn goes_on(rest: &str, is_url: bool) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let mut rest = rest.chars();
    match rest.next() {
        // `_Fixes #1_` is emphasis.
        Some('_') => rest.next().is_some_and(word),
        Some('/' | '#' | '?') => is_url,
        Some(c) => word(c),
        None => false,
    }
}

#[cfg(test)]
#[path = "references/tests.rs"]
mod tests;
