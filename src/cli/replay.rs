//! `nectr replay`: sends payload files as GitHub would, signed. For development: over plain HTTP only.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap::Args;
use secrecy::{ExposeSecret, SecretString};

use super::{Failed, Settings, Usage, text::clip};
use crate::{sandbox::http::Request, seal::random_hex, webhook};

/// Arguments of `nectr replay`.
#[derive(Debug, Args)]
pub(super) struct Replay {
    /// Payloads; the event is taken from names like `pull_request.opened.json`
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Where to send them [default: the webhook receiver of BACKEND_URL]
    #[arg(long)]
    url: Option<String>,
    /// What to sign them with [default: GITHUB_WEBHOOK_SECRET]
    #[arg(long)]
    secret: Option<SecretString>,
    /// What to send as X-GitHub-Event, whatever the files are called
    #[arg(long)]
    event: Option<String>,
    #[command(flatten)]
    settings: Settings,
}

impl Replay {
    pub async fn run(self, out: &mut dyn Write) -> anyhow::Result<()> {
        let (url, secret) = match (self.url, self.secret) {
            // Asked only for what is missing: settings that are wrong do not matter to who needs none.
            (Some(url), Some(secret)) => (url, secret),
            (url, secret) => {
                let config = super::load(&self.settings.0)?;
                let receiver = format!("{}/api/v1/webhooks/github", config.backend_url.as_str().trim_end_matches('/'));
                let secret = secret.or(config.webhook_secret).ok_or_else(|| {
                    Usage("give the webhook's secret with --secret, or set GITHUB_WEBHOOK_SECRET".to_owned())
                })?;
                (url.unwrap_or(receiver), secret)
            }
        };
        let named = |file: &PathBuf| Ok((file.clone(), event(self.event.as_deref(), file)?));
        let files = self.files.iter().map(named).collect::<Result<Vec<_>, Usage>>()?;

        let mut refused = false;
        for (file, event) in files {
            let body = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
            let (status, answer) = send(&url, &secret, &event, body).await?;
            refused |= !(200..300).contains(&status);
            writeln!(out, "{}: {status} {}", file.display(), clip(&answer, 500))?;
        }
        if refused { Err(Failed.into()) } else { Ok(()) }
    }
}

async fn send(url: &str, secret: &SecretString, event: &str, body: Vec<u8>) -> anyhow::Result<(u16, String)> {
    let signature = webhook::sign(secret.expose_secret().as_bytes(), &body);
    let answer = Request::post(url)
        .header("content-type", "application/json")
        .header("user-agent", concat!("GitHub-Hookshot/nectr-", env!("CARGO_PKG_VERSION")))
        .header("x-github-event", event)
        .header("x-github-delivery", &guid())
        .header("x-hub-signature-256", &signature)
        .body(body)
        .send()
        .await
        .with_context(|| format!("cannot send to {url}"))?;
    Ok((answer.status, String::from_utf8_lossy(&answer.body).into_owned()))
}

fn event(given: Option<&str>, file: &Path) -> Result<String, Usage> {
    let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let event = given.or_else(|| name.split('.').next()).unwrap_or_default();
    let fits = !event.is_empty()
        && event.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    let problem = || match given {
        Some(event) => Usage(format!("--event: {event:?} is not the name of an event")),
        None => Usage(format!("{}: the event cannot be told from the name; give it with --event", file.display())),
    };
    fits.then(|| event.to_owned()).ok_or_else(problem)
}

/// A fresh delivery id, as GitHub writes them.
fn guid() -> String {
    let hex = random_hex(16);
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
