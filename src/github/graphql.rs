//! Answers of GitHub's GraphQL API: what was told, what could not be told, and what that means.
//!
//! To HTTP an answer is a success whatever it says. So nothing here is believed without its errors, and what is missing
//! because of an error is never taken for something that does not exist.

use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};
use serde_json::Value;

use super::{
    GitHubError,
    answer::{Answer, shorten},
};
use crate::domain::{RepoId, RepoRef};

/// What one question brought.
pub(super) struct Told<D> {
    data: Option<D>,
    troubles: Troubles,
}

/// What GitHub could not tell.
pub(super) struct Troubles(Vec<Trouble>);

#[derive(Debug, Deserialize)]
struct Trouble {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    message: String,
    /// Names and indexes, from the root to what is missing.
    path: Option<Vec<Value>>,
}

/// Data that says which repository it is about.
pub(super) trait About {
    /// `databaseId` of the repository; none: there is no repository in this answer.
    fn repository(&self) -> Option<i64>;
}

#[derive(Deserialize)]
struct Body<D> {
    data: Option<D>,
    errors: Option<Vec<Trouble>>,
}

impl<D: DeserializeOwned> Told<D> {
    pub(super) fn read(answer: &Answer) -> Result<Self, GitHubError> {
        let body: Body<D> = answer.json()?;
        Ok(Self { data: body.data, troubles: Troubles(body.errors.unwrap_or_default()) })
    }
}

/// Too many questions this hour. GitHub counts them apart from requests to the REST API, and answers 200.
pub(super) fn is_rate_limited(answer: &Answer) -> bool {
    const WORD: &str = "RATE_LIMITED";
    // Answers are long and nearly always about something else.
    let said = answer.body.windows(WORD.len()).any(|part| part == WORD.as_bytes());
    let troubles = || Told::<IgnoredAny>::read(answer).map(|told| told.troubles);
    said && troubles().is_ok_and(|troubles| troubles.0.iter().any(|trouble| trouble.is(WORD)))
}

impl<D: About> Told<D> {
    /// What was told, if it is about the repository that was meant: a name may belong to another one by now.
    pub(super) fn about(self, repo: &RepoRef) -> Result<(D, Troubles), GitHubError> {
        let found = self.data.and_then(|data| Some((RepoId(data.repository()?), data)));
        match found {
            Some((id, data)) if id == repo.id => Ok((data, self.troubles)),
            Some(_) => Err(GitHubError::NotFound { what: repo.name.to_string() }),
            None => Err(self.troubles.refusal(repo)),
        }
    }
}

impl Troubles {
    pub(super) fn are_there(&self) -> bool {
        !self.0.is_empty()
    }

    /// Whether GitHub gave up on a part of the question because it was too much at once.
    pub(super) fn too_much(&self) -> bool {
        self.0.iter().any(Trouble::is_too_much)
    }

    /// What GitHub says about the place `path`, if something is wrong there.
    pub(super) fn at(&self, path: &[&str]) -> Option<&str> {
        let there = |trouble: &&Trouble| trouble.path.as_ref().is_some_and(|at| at.iter().eq(path));
        self.0.iter().find(there).map(|trouble| trouble.message.as_str())
    }

    /// Why what is needed is missing.
    pub(super) fn refusal(&self, repo: &RepoRef) -> GitHubError {
        let of = |kind| self.0.iter().find(|trouble| trouble.is(kind));
        let forbidden = of("FORBIDDEN").or_else(|| of("INSUFFICIENT_SCOPES"));
        match (self.0.iter().find(|trouble| trouble.is_too_much()), forbidden, self.0.first()) {
            (Some(trouble), ..) => GitHubError::Unavailable(shorten(&trouble.message).into()),
            (_, Some(trouble), _) => GitHubError::Forbidden { message: shorten(&trouble.message) },
            (.., Some(trouble)) if of("NOT_FOUND").is_none() => GitHubError::Protocol(shorten(&trouble.message)),
            _ => GitHubError::NotFound { what: repo.name.to_string() },
        }
    }
}

impl Trouble {
    fn is(&self, kind: &str) -> bool {
        self.kind.as_deref() == Some(kind)
    }

    /// GitHub's documented limits of one question, and its words for "it took more than ten seconds".
    fn is_too_much(&self) -> bool {
        let message = self.message.to_ascii_lowercase();
        self.is("RESOURCE_LIMITS_EXCEEDED")
            || self.is("MAX_NODE_LIMIT_EXCEEDED")
            || ["something went wrong", "timeout", "timed out", "timedout"].iter().any(|word| message.contains(word))
    }
}

/// A question whose variable and line `x0` are there for each of `count` things: `x0`, `x1`, ... Values are never written
/// into a question, so whatever they hold cannot change it.
pub(super) fn repeated(question: &str, count: usize) -> String {
    let each = |text: &str, between: &str| {
        let one = |n| text.replace("x0", &format!("x{n}"));
        (0..count).map(one).collect::<Vec<_>>().join(between)
    };
    let line = |line: &str| match line.find("$x0:") {
        // Its type ends where the list of variables does.
        Some(start) => {
            let end = line.rfind(')').unwrap_or(line.len());
            format!("{}{}{}", &line[..start], each(&line[start..end], ", "), &line[end..])
        }
        None if line.contains("x0: ") => each(line, "\n"),
        None => line.to_owned(),
    };
    question.lines().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_question_is_repeated_for_as_many_things_as_there_are() {
        let question = "query Q($a: Int!, $x0: Int!) {\n  x0: one(n: $x0) { y }\n}";
        let two = "query Q($a: Int!, $x0: Int!, $x1: Int!) {\n  x0: one(n: $x0) { y }\n  x1: one(n: $x1) { y }\n}";
        assert_eq!(repeated(question, 1), question);
        assert_eq!(repeated(question, 2), two);
    }
}
