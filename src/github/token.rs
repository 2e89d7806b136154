//! Where the bot's token comes from: in development whoever is logged in with `gh`, else the configured one.
//!
//! Found once and remembered until GitHub refuses it, so that a new login is picked up without a restart.

use std::{process::Stdio, time::Duration};

use secrecy::{ExposeSecret, SecretString};
use tokio::{process::Command, sync::Mutex, time::timeout};
use url::Url;

use super::GitHubError;

/// `gh` only reads a file or a key ring; if it takes longer it is waiting for somebody.
const GH_LIMIT: Duration = Duration::from_secs(5);

/// The bot's token, once it is known.
pub(super) struct BotToken {
    gh: Option<Gh>,
    pat: Option<SecretString>,
    known: Mutex<Option<SecretString>>,
}

impl BotToken {
    pub(super) fn new(gh: Option<Gh>, pat: Option<SecretString>) -> Self {
        Self { gh, pat, known: Mutex::default() }
    }

    /// The token; looked for once however many ask.
    pub(super) async fn get(&self) -> Result<SecretString, GitHubError> {
        let mut known = self.known.lock().await;
        if let Some(token) = &*known {
            return Ok(token.clone());
        }
        let asked = match &self.gh {
            Some(gh) => gh.token().await,
            None => None,
        };
        let token = asked.or_else(|| self.pat.clone()).ok_or_else(|| {
            GitHubError::NoToken("No GitHub token available. Set GITHUB_PAT or run `gh auth login`.".to_owned())
        })?;
        *known = Some(token.clone());
        Ok(token)
    }

    /// Whether the next [`BotToken::get`] answers from memory.
    #[cfg(test)]
    pub(super) async fn is_known(&self) -> bool {
        self.known.lock().await.is_some()
    }

    /// GitHub refused `token`: look again next time, unless that was done already.
    pub(super) async fn forget(&self, token: &SecretString) {
        let mut known = self.known.lock().await;
        if known.as_ref().is_some_and(|known| known.expose_secret() == token.expose_secret()) {
            *known = None;
        }
    }
}

/// The GitHub CLI.
pub(super) struct Gh {
    program: String,
    host: String,
}

impl Gh {
    /// `program`, asked about the account on `site`.
    pub(super) fn new(program: &str, site: &Url) -> Self {
        let host = site.host_str().unwrap_or_default();
        let host = site.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        Self { program: program.to_owned(), host }
    }

    /// The token of who is logged in. Not being installed, not being logged in and not answering are all none.
    async fn token(&self) -> Option<SecretString> {
        let mut gh = Command::new(&self.program);
        // Without GH_HOST it may answer with another host's token, which is not ours to send to this one.
        gh.args(["auth", "token"]).env("GH_HOST", &self.host).env("GH_PROMPT_DISABLED", "1");
        gh.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let output = match timeout(GH_LIMIT, gh.output()).await {
            Ok(Ok(output)) if output.status.success() => output,
            Ok(Ok(_)) => return None,
            Ok(Err(error)) => {
                tracing::debug!(%error, "`gh` could not be asked for a token");
                return None;
            }
            Err(_) => {
                tracing::warn!("`gh auth token` did not answer within {} s", GH_LIMIT.as_secs());
                return None;
            }
        };
        let token = std::str::from_utf8(&output.stdout).ok()?.trim();
        let plausible = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        plausible.then(|| SecretString::from(token))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::{fs, path::Path};

    use super::*;

    /// A program that counts its runs in `dir/runs` and then does as `script` says.
    fn gh(dir: &Path, script: &str) -> Gh {
        let program = dir.join("gh");
        let script = format!("#!/bin/sh\necho \"$*\" >> {}/runs\n{script}\n", dir.display());
        // Written by another process: a file this one has open for writing could be passed on to a program that some
        // other test starts just then, and what is open for writing cannot be run.
        let mut writer = std::process::Command::new("sh");
        writer.args(["-c", r#"printf %s "$1" > "$0" && chmod +x "$0""#]).arg(&program).arg(script);
        assert!(writer.status().unwrap().success());
        Gh::new(program.to_str().unwrap(), &Url::parse("https://github.com").unwrap())
    }

    fn runs(dir: &Path) -> Vec<String> {
        let runs = fs::read_to_string(dir.join("runs")).unwrap_or_default();
        runs.lines().map(str::to_owned).collect()
    }

    fn pat() -> Option<SecretString> {
        Some(SecretString::from("from-the-settings"))
    }

    async fn found(token: &BotToken) -> String {
        token.get().await.unwrap().expose_secret().to_owned()
    }

    #[tokio::test]
    async fn whoever_is_logged_in_with_gh_comes_first_and_gh_is_asked_once() {
        let dir = tempfile::tempdir().unwrap();
        let token = BotToken::new(Some(gh(dir.path(), "echo from-$GH_HOST")), pat());
        assert_eq!(found(&token).await, "from-github.com");
        assert_eq!(found(&token).await, "from-github.com");
        assert_eq!(runs(dir.path()), ["auth token"]);
    }

    #[tokio::test]
    async fn a_token_that_github_refused_is_looked_for_again() {
        let dir = tempfile::tempdir().unwrap();
        let token = BotToken::new(Some(gh(dir.path(), "echo first")), pat());
        let first = token.get().await.unwrap();

        gh(dir.path(), "echo second");
        token.forget(&first).await;
        assert_eq!(found(&token).await, "second");
        // The answer to an older request with the old token arrives late.
        token.forget(&first).await;
        assert_eq!(found(&token).await, "second");
        assert_eq!(runs(dir.path()).len(), 2);
    }

    #[tokio::test]
    async fn the_configured_token_serves_when_gh_is_missing_or_logged_out_or_talks_nonsense() {
        let dir = tempfile::tempdir().unwrap();
        for script in ["exit 1", "true", "echo two words", "echo token; exit 4"] {
            let token = BotToken::new(Some(gh(dir.path(), script)), pat());
            assert_eq!(found(&token).await, "from-the-settings", "{script}");
        }
        let missing = Gh::new("/nonexistent/gh", &Url::parse("https://github.com").unwrap());
        assert_eq!(found(&BotToken::new(Some(missing), pat())).await, "from-the-settings");
        assert_eq!(found(&BotToken::new(None, pat())).await, "from-the-settings");
    }

    #[tokio::test]
    async fn no_token_at_all_says_what_to_do_and_is_not_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let token = BotToken::new(Some(gh(dir.path(), "exit 1")), None);
        assert_eq!(
            token.get().await.unwrap_err().to_string(),
            "No GitHub token available. Set GITHUB_PAT or run `gh auth login`."
        );
        gh(dir.path(), "echo logged-in");
        assert_eq!(found(&token).await, "logged-in");
    }

    #[tokio::test(start_paused = true)]
    async fn a_gh_that_waits_for_somebody_is_given_up() {
        let dir = tempfile::tempdir().unwrap();
        let token = BotToken::new(Some(gh(dir.path(), "exec sleep 600")), pat());
        assert_eq!(found(&token).await, "from-the-settings");
    }
}
