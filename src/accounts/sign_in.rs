//! Signing in with GitHub: OAuth with a single-use state bound to the browser, and PKCE.
//!
//! A state is worth something for ten minutes, once, and only together with the cookie of the browser it was made
//! for. It is used up before GitHub is asked, so that a code is never exchanged twice.

use std::time::Duration;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use url::Url;

use super::{session, token::token_place};
use crate::{
    app::App,
    github::{Account, GitHubError},
    seal::random_hex,
    store::{StoreError, sessions::PendingSignIn, users::SignIn},
};

/// How long GitHub's page may stay open.
const STATE_LIFETIME: Duration = Duration::from_secs(600);

/// What nectr asks for: to see repositories and manage their webhooks, and who this is.
const SCOPE: &str = "repo read:user user:email";

/// Where GitHub sends the browser back to, below `BACKEND_URL`.
const CALLBACK: &str = "/auth/github/callback";

/// Where to send the browser, and what it must bring back in a cookie.
#[derive(Debug)]
pub struct Begun {
    /// GitHub's authorize page with its query.
    pub authorize: Url,
    /// Goes into an HttpOnly cookie for ten minutes and ties the state to this browser.
    pub browser: String,
}

/// Somebody signed in.
#[derive(Debug)]
pub struct SignedIn {
    /// The session's first JWT, for the `access_token` cookie.
    pub jwt: String,
    /// How long it lives.
    pub lifetime: Duration,
}

/// Why sign-in did not happen. The texts are the contract's.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// 503.
    #[error("Signing in is not configured: set GITHUB_CLIENT_ID and GITHUB_CLIENT_SECRET")]
    NotConfigured,
    /// 400.
    #[error("Invalid or expired OAuth state")]
    BadState,
    /// 400.
    #[error("Failed to exchange GitHub code")]
    Exchange,
    /// 403.
    #[error("This GitHub account may not use this server")]
    NotAllowed,
    /// 502.
    #[error("GitHub is unreachable")]
    Unreachable,
    /// 500.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Starts a sign-in.
pub async fn begin(app: &App) -> Result<Begun, SignInError> {
    let oauth = app.config.github.oauth.as_ref().ok_or(SignInError::NotConfigured)?;
    let (state, browser, verifier) = (random_hex(32), random_hex(32), random_hex(32));
    let mut authorize = below(&app.config.github.server_url, "/login/oauth/authorize");
    authorize
        .query_pairs_mut()
        .append_pair("client_id", &oauth.client_id)
        .append_pair("redirect_uri", below(&app.config.backend_url, CALLBACK).as_str())
        .append_pair("scope", SCOPE)
        .append_pair("state", &state)
        .append_pair("code_challenge", &challenge(&verifier))
        .append_pair("code_challenge_method", "S256");
    let pending = PendingSignIn { state: digest(&state), browser: digest(&browser), verifier };
    app.store.keep_sign_in(pending, STATE_LIFETIME).await?;
    Ok(Begun { authorize, browser })
}

/// Ends a sign-in: `code` and `state` from GitHub's redirect, `browser` from the cookie.
pub async fn finish(
    app: &App,
    code: Option<&str>,
    state: Option<&str>,
    browser: Option<&str>,
) -> Result<SignedIn, SignInError> {
    if app.config.github.oauth.is_none() {
        return Err(SignInError::NotConfigured);
    }
    let (state, browser) = state.zip(browser).ok_or(SignInError::BadState)?;
    let taken = app.store.take_sign_in(&digest(state), &digest(browser), STATE_LIFETIME).await?;
    let verifier = taken.ok_or(SignInError::BadState)?;
    let code = code.map(str::trim).filter(|code| !code.is_empty()).ok_or(SignInError::Exchange)?;

    let redirect_uri = below(&app.config.backend_url, CALLBACK);
    let token = app.github.exchange_code(code, &verifier, redirect_uri.as_str()).await.map_err(told_by_github)?;
    let account = app.github.user(&token).account().await.map_err(told_by_github)?;
    if !may_sign_in(app, &token, &account).await? {
        tracing::info!(
            login = account.login,
            "sign-in refused: neither the account nor an organisation of it is allowed"
        );
        return Err(SignInError::NotAllowed);
    }

    let who = SignIn {
        token: app.sealer.seal(token_place(account.id), token.expose_secret()),
        github_id: account.id,
        login: account.login,
        name: account.name,
        email: account.email,
        avatar_url: account.avatar_url,
    };
    let ends = app.clock.now() + app.config.session_length;
    let session = app.store.open_session(who, &random_hex(32), ends).await?;
    // Only a session shorter than a second mints nothing.
    let (jwt, lifetime) = session::mint_in(app, &session).ok_or(SignInError::BadState)?;
    Ok(SignedIn { jwt, lifetime })
}

/// What a failure during sign-in means: only an outage is worth the same attempt again.
fn told_by_github(error: GitHubError) -> SignInError {
    tracing::warn!(%error, "GitHub did not complete a sign-in");
    if is_outage(&error) { SignInError::Unreachable } else { SignInError::Exchange }
}

fn is_outage(error: &GitHubError) -> bool {
    matches!(error, GitHubError::Unavailable(_) | GitHubError::RateLimited { .. })
}

/// Whether the lists of allowed accounts and organisations let somebody in. A list nobody filled in keeps nobody out;
/// an organisation GitHub cannot be asked about lets nobody in.
async fn may_sign_in(app: &App, token: &SecretString, account: &Account) -> Result<bool, SignInError> {
    let (users, orgs) = (&app.config.allowed_users, &app.config.allowed_orgs);
    if users.is_empty() && orgs.is_empty() || users.iter().any(|user| user.eq_ignore_ascii_case(&account.login)) {
        return Ok(true);
    }
    let mut doubt = None;
    for org in orgs {
        match app.github.user(token).is_member(org, &account.login).await {
            Ok(true) => return Ok(true),
            Ok(false) => {}
            // The organisation hides its members from this person: not one of them.
            Err(GitHubError::NotFound { .. } | GitHubError::Forbidden { .. }) => {}
            Err(error) => doubt = Some(told_by_github(error)),
        }
    }
    doubt.map_or(Ok(false), Err)
}

/// `path` below a configured URL, which may have a path of its own.
pub(super) fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url
}

fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text))
}

/// The S256 challenge for a PKCE verifier.
fn challenge(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_challenge_is_the_one_of_the_standard() {
        // RFC 7636, appendix B.
        assert_eq!(
            challenge("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    #[test]
    fn pages_are_found_below_a_server_with_a_path_of_its_own() {
        let at = |base: &str| below(&Url::parse(base).unwrap(), "/login").to_string();
        assert_eq!(at("https://github.com"), "https://github.com/login");
        assert_eq!(at("https://corp.example/github/"), "https://corp.example/github/login");
    }

    #[test]
    fn only_an_outage_is_called_unreachable() {
        let limited = GitHubError::RateLimited { retry_after: Duration::from_secs(60) };
        assert!(matches!(told_by_github(limited), SignInError::Unreachable));
        assert!(matches!(told_by_github(GitHubError::Unavailable("reset".into())), SignInError::Unreachable));
        assert!(matches!(told_by_github(GitHubError::Unauthorized), SignInError::Exchange));
        let bad_code = GitHubError::Rejected { status: 200, message: "bad_verification_code".into() };
        assert!(matches!(told_by_github(bad_code), SignInError::Exchange));
    }
}
