//! The paths there are, as the document writes them: what a span is named after and what `Allow` lists.

use poem::http::Method;

/// Every path with its methods.
#[derive(Debug, Default)]
pub(super) struct Paths(Vec<Known>);

/// One of them.
#[derive(Debug)]
pub(super) struct Known {
    pattern: String,
    methods: Vec<Method>,
    parameters: Vec<String>,
}

impl Paths {
    /// From patterns such as `/repos/{owner}/{repo}`.
    pub(super) fn new<P: Into<String>>(paths: impl IntoIterator<Item = (P, Method)>) -> Self {
        let mut all: Vec<Known> = Vec::new();
        for (pattern, method) in paths {
            let pattern = pattern.into();
            match all.iter_mut().find(|known| known.pattern == pattern) {
                Some(known) => known.methods.push(method),
                None => {
                    let parameters = segments(&pattern).filter_map(parameter).map(str::to_owned).collect();
                    all.push(Known { pattern, methods: vec![method], parameters });
                }
            }
        }
        // Words before parameters, where both would fit.
        all.sort_by_key(|known| known.parameters.len());
        Self(all)
    }

    /// All of them.
    #[cfg(test)]
    pub(super) fn patterns(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(Known::pattern)
    }

    /// The pattern a path fits.
    pub(super) fn find(&self, path: &str) -> Option<&Known> {
        self.0.iter().find(|known| {
            let mut asked = segments(path);
            segments(&known.pattern).all(|part| asked.next().is_some_and(|given| fits(part, given)))
                && asked.next().is_none()
        })
    }
}

impl Known {
    pub(super) fn pattern(&self) -> &str {
        &self.pattern
    }

    /// The names in braces, in order.
    pub(super) fn parameters(&self) -> &[String] {
        &self.parameters
    }

    /// The value of `Allow`.
    pub(super) fn allow(&self) -> String {
        let head = self.methods.contains(&Method::GET).then_some(Method::HEAD);
        let methods: Vec<_> = self.methods.iter().chain(&head).map(Method::as_str).collect();
        methods.join(", ")
    }
}

fn segments(path: &str) -> impl Iterator<Item = &str> {
    path.trim_start_matches('/').split('/')
}

fn parameter(segment: &str) -> Option<&str> {
    segment.strip_prefix('{')?.strip_suffix('}')
}

fn fits(pattern: &str, given: &str) -> bool {
    if parameter(pattern).is_some() { !given.is_empty() } else { pattern == given }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_path_is_found_by_its_words_and_counted_parameters() {
        let paths = Paths::new([
            ("/repos/{owner}/{repo}", Method::GET),
            ("/repos/{owner}/{repo}", Method::DELETE),
            ("/repos/all/now", Method::GET),
            ("/", Method::GET),
        ]);
        let repo = paths.find("/repos/acme/shop").unwrap();
        assert_eq!((repo.pattern(), repo.allow().as_str()), ("/repos/{owner}/{repo}", "GET, DELETE, HEAD"));
        assert_eq!(repo.parameters(), ["owner", "repo"]);
        assert_eq!(paths.find("/repos/all/now").unwrap().pattern(), "/repos/all/now");
        assert_eq!(paths.find("/").unwrap().pattern(), "/");
        for unknown in ["/repos", "/repos/acme", "/repos/acme/", "/repos/acme/shop/files", "/repo/acme/shop", ""] {
            assert!(paths.find(unknown).is_none_or(|known| known.pattern() == "/" && unknown.is_empty()), "{unknown}");
        }
    }
}
