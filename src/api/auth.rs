//! Signing in, who one is, tokens, signing out, and leaving for good.
//!
//! A browser that came by another loopback name than `BACKEND_URL` has is sent to the right one first: cookies do not
//! follow from one name to the other, and GitHub only comes back to one of them.

use poem::{Request, http::header, web::Data};
use poem_openapi::{ApiResponse, Object, OpenApi, param::Query, payload::Json, types::Example};
use tracing::Instrument;
use url::{Host, Url};

use super::{
    Tag,
    cookies::{BROWSER_COOKIE, Jar, Redirect},
    error::{Problem, fails},
    security::{Browser, Caller},
    throttle::Throttle,
    time::Time,
};
use crate::{
    accounts::{
        erase,
        session::{self, CurrentUser},
        sign_in::{self, SignedIn},
    },
    app::Handle,
};

/// Somebody who signed in.
#[derive(Debug, Object)]
#[oai(example)]
struct Me {
    /// Our id.
    id: i64,
    /// GitHub's id.
    github_id: i64,
    /// GitHub login.
    github_username: String,
    /// Display name.
    name: Option<String>,
    /// E-mail address, where GitHub shows one.
    email: Option<String>,
    /// Picture.
    avatar_url: Option<String>,
    /// First sign-in.
    created_at: Time,
}

/// A token for API clients.
#[derive(Debug, Object)]
#[oai(example)]
struct Token {
    /// To be sent as `Authorization: Bearer ...`.
    access_token: String,
    /// Always `bearer`.
    token_type: String,
    /// Seconds it lives, unless its session is signed out before.
    expires_in: i64,
}

/// That signing out worked.
#[derive(Debug, Object)]
#[oai(example)]
struct LoggedOut {
    /// Always `Logged out`.
    message: String,
}

/// That an account was deleted.
#[derive(Debug, Object)]
#[oai(example)]
struct Deleted {
    /// Always `Account deleted`.
    message: String,
}

fails! {
    /// Beginning to sign in.
    BeginFails {
        429 "Too many attempts to sign in from your network: try again in {seconds} s";
        503 "Signing in is not configured: set GITHUB_CLIENT_ID and GITHUB_CLIENT_SECRET";
    }
}

fails! {
    /// Coming back from GitHub.
    FinishFails {
        400 "Invalid or expired OAuth state" | "Failed to exchange GitHub code";
        403 "This GitHub account may not use this server";
        429 "Too many attempts to sign in from your network: try again in {seconds} s";
        502 "GitHub is unreachable";
        503 "Signing in is not configured: set GITHUB_CLIENT_ID and GITHUB_CLIENT_SECRET";
    }
}

fails! {
    /// Asking for a token.
    TokenFails { 401 "Unauthorized"; }
}

fails! {
    /// Nothing of its own.
    NoFails {}
}

/// Signing in with GitHub.
pub(super) struct AuthApi;

#[OpenApi(prefix_path = "/auth", tag = "Tag::Auth")]
impl AuthApi {
    /// Sign in with GitHub.
    ///
    /// Redirects a browser to GitHub's authorize page. A browser that reached this server by another loopback name than
    /// the one in `BACKEND_URL` is first sent there: cookies do not follow from one name to the other.
    #[oai(path = "/github", method = "get", operation_id = "begin_sign_in")]
    async fn begin(
        &self,
        Data(app): Data<&Handle>,
        Data(throttle): Data<&Throttle>,
        request: &Request,
    ) -> Result<Redirect, BeginFails> {
        throttle.admit(app, request).await?;
        let backend = &app.config.backend_url;
        if is_other_loopback(request.header(header::HOST), backend) {
            return Ok(Redirect::to(under(backend, "/auth/github")));
        }
        let begun = sign_in::begin(app).await?;
        let cookie = Jar::new(app).browser(&begun.browser);
        Ok(Redirect::to(begun.authorize.into()).setting(cookie))
    }

    /// Come back from GitHub.
    ///
    /// GitHub redirects the browser here. Sets the `access_token` cookie and goes on to the dashboard.
    #[oai(path = "/github/callback", method = "get", operation_id = "finish_sign_in")]
    async fn finish(
        &self,
        Data(app): Data<&Handle>,
        Data(throttle): Data<&Throttle>,
        request: &Request,
        /// What GitHub gives in exchange for a token; absent when the person said no.
        code: Query<Option<String>>,
        /// What we gave GitHub to carry.
        state: Query<Option<String>>,
    ) -> Result<Redirect, FinishFails> {
        throttle.admit(app, request).await?;
        let jar = Jar::new(app);
        let browser = request.cookie().get(BROWSER_COOKIE).map(|cookie| cookie.value_str().to_owned());
        let done = sign_in::finish(app, code.as_deref(), state.as_deref(), browser.as_deref()).await;
        let SignedIn { jwt, lifetime } =
            done.map_err(|error| Problem::from(error).with(header::SET_COOKIE, jar.no_browser()))?;
        let dashboard = under(&app.config.frontend_url, "/dashboard");
        Ok(Redirect::to(dashboard).setting(jar.session(&jwt, lifetime)).setting(jar.no_browser()))
    }

    /// Who am I?
    #[oai(path = "/me", method = "get", operation_id = "get_me")]
    async fn me(&self, Caller(user): Caller) -> Result<Json<Me>, NoFails> {
        Ok(Json(user.into()))
    }

    /// Delete my account.
    ///
    /// Disconnects every repository, removes the webhooks where that can be done, and erases everything that was kept for the
    /// caller: what they connected and received, their sessions, their GitHub token. Reviews, profile and code graph of a
    /// repository go too, unless somebody else has it connected.
    #[oai(path = "/me", method = "delete", operation_id = "delete_account")]
    async fn leave(&self, Caller(user): Caller, Data(app): Data<&Handle>) -> Result<Left, NoFails> {
        let cookie = Jar::new(app).no_session();
        let app = app.clone();
        // A caller who leaves must not stop it half way.
        let leaving = async move { erase::leave(&app, &user).await };
        tokio::spawn(leaving.in_current_span()).await.map_err(Problem::internal)??;
        Ok(Left::Done(Json(Deleted { message: "Account deleted".to_owned() }), cookie))
    }

    /// Get a token for an API client.
    ///
    /// For scripts and for the Authorize button of `/docs`. Only a signed-in browser gets one: a bearer token mints none.
    #[oai(path = "/token", method = "post", operation_id = "create_token")]
    async fn token(&self, Browser(user): Browser, Data(app): Data<&Handle>) -> Result<Json<Token>, TokenFails> {
        let (access_token, lifetime) = session::mint(app, &user).await?;
        let expires_in = i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX);
        Ok(Json(Token { access_token, token_type: "bearer".to_owned(), expires_in }))
    }

    /// Sign out.
    ///
    /// Ends the session and with it every token minted in it, and clears the cookie.
    #[oai(path = "/logout", method = "post", operation_id = "log_out")]
    async fn log_out(&self, Caller(user): Caller, Data(app): Data<&Handle>) -> Result<SignedOut, NoFails> {
        session::log_out(app, &user).await?;
        let body = Json(LoggedOut { message: "Logged out".to_owned() });
        Ok(SignedOut::Done(body, Jar::new(app).no_session()))
    }
}

/// Answers of signing out.
#[derive(ApiResponse)]
enum SignedOut {
    /// The session is over.
    #[oai(status = 200)]
    Done(
        Json<LoggedOut>,
        /// Clears `access_token`.
        #[oai(header = "Set-Cookie")]
        String,
    ),
}

/// Answers of deleting an account.
#[derive(ApiResponse)]
enum Left {
    /// Nothing is left.
    #[oai(status = 200)]
    Done(
        Json<Deleted>,
        /// Clears `access_token`.
        #[oai(header = "Set-Cookie")]
        String,
    ),
}

impl From<CurrentUser> for Me {
    fn from(user: CurrentUser) -> Self {
        Self {
            id: user.id.0,
            github_id: user.github_id,
            github_username: user.login,
            name: user.name,
            email: user.email,
            avatar_url: user.avatar_url,
            created_at: user.created_at.into(),
        }
    }
}

/// An address below a base that is written without a trailing slash.
fn under(base: &Url, path: &str) -> String {
    format!("{}{path}", base.as_str().trim_end_matches('/'))
}

/// Whether the browser used one loopback name where `BACKEND_URL` has another.
fn is_other_loopback(host: Option<&str>, backend: &Url) -> bool {
    let Some(used) = host.and_then(|host| Url::parse(&format!("http://{host}")).ok()) else { return false };
    is_loopback(&used) && is_loopback(backend) && used.host() != backend.host()
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

impl Example for Me {
    fn example() -> Self {
        Self {
            id: 1,
            github_id: 583_231,
            github_username: "octocat".to_owned(),
            name: Some("The Octocat".to_owned()),
            email: Some("octocat@example.com".to_owned()),
            avatar_url: Some("https://avatars.githubusercontent.com/u/583231".to_owned()),
            created_at: Time::example(),
        }
    }
}

impl Example for Token {
    fn example() -> Self {
        Self { access_token: "eyJhbGciOiJIUzI1NiJ9...".to_owned(), token_type: "bearer".to_owned(), expires_in: 86_400 }
    }
}

impl Example for LoggedOut {
    fn example() -> Self {
        Self { message: "Logged out".to_owned() }
    }
}

impl Example for Deleted {
    fn example() -> Self {
        Self { message: "Account deleted".to_owned() }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn other(host: &str, backend: &str) -> bool {
        is_other_loopback(Some(host), &Url::parse(backend).unwrap())
    }

    #[test]
    fn a_browser_that_came_by_another_loopback_name_is_sent_to_the_right_one() {
        assert!(other("127.0.0.1:8000", "http://localhost:8000"));
        assert!(other("[::1]:8000", "http://localhost:8000"));
        assert!(other("LOCALHOST:8000", "http://127.0.0.1:8000"));
    }

    #[test]
    fn nobody_else_is_sent_anywhere() {
        assert!(!other("localhost:8000", "http://localhost:8000"));
        assert!(!other("localhost:9000", "http://localhost:8000"), "a port is not a name");
        assert!(!other("127.0.0.1:8000", "https://nectr.example.com"), "behind a proxy or a tunnel");
        assert!(!other("nectr.example.com", "http://localhost:8000"));
        assert!(!other("evil.test/@localhost", "http://127.0.0.1"));
        assert!(!is_other_loopback(None, &Url::parse("http://localhost").unwrap()));
    }
}
