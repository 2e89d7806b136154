//! Sessions and the JWTs minted in them.
//!
//! A JWT (HS256 only; `sub`, `iat`, `exp`, `iss`="nectr", `jti`) names its session in `jti`; the session row is read on every
//! request, so that signing out ends every token at once. No token outlives its session.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::jwt::{self, Claims};
use crate::{
    app::App,
    domain::UserId,
    seal::random_hex,
    store::{StoreError, sessions::Session, users::User},
};

/// Who is asking, proven.
#[derive(Debug, Clone)]
pub struct CurrentUser {
    /// Our id.
    pub id: UserId,
    /// GitHub's id.
    pub github_id: i64,
    /// GitHub login.
    pub login: String,
    /// Display name.
    pub name: Option<String>,
    /// E-mail.
    pub email: Option<String>,
    /// Picture.
    pub avatar_url: Option<String>,
    /// First sign-in.
    pub created_at: DateTime<Utc>,
    /// The session this request belongs to.
    pub session: String,
}

/// Why a request has no user.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Missing, malformed, expired, revoked, wrong algorithm, unknown user: all alike.
    #[error("Unauthorized")]
    Unauthorized,
    /// The database could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reads a JWT and its session.
pub async fn authenticate(app: &App, jwt: &str) -> Result<CurrentUser, AuthError> {
    let claims = jwt::read(app.sealer.jwt_keys(), jwt, app.clock.now()).ok_or(AuthError::Unauthorized)?;
    let session = session_of(&claims).ok_or(AuthError::Unauthorized)?;
    let live = app.store.live_session(session).await?.filter(|(session, _)| claims.sub == session.user.to_string());
    let (session, user) = live.ok_or(AuthError::Unauthorized)?;
    Ok(CurrentUser::new(session, user))
}

/// A fresh JWT in the user's present session, and how long it lives.
pub async fn mint(app: &App, user: &CurrentUser) -> Result<(String, Duration), AuthError> {
    let (session, _) = app.store.live_session(&user.session).await?.ok_or(AuthError::Unauthorized)?;
    mint_in(app, &session).ok_or(AuthError::Unauthorized)
}

/// Ends the session and with it every token minted in it.
pub async fn log_out(app: &App, user: &CurrentUser) -> Result<(), StoreError> {
    app.store.revoke_session(&user.session).await
}

/// A JWT that lives as long as the settings say, at most to the end of its session; none in a session's last second.
pub(super) fn mint_in(app: &App, session: &Session) -> Option<(String, Duration)> {
    let (key, _) = app.sealer.jwt_keys();
    let (claims, lifetime) = claims(session, app.clock.now(), app.config.session_length, &random_hex(8))?;
    Some((jwt::sign(key, &claims), lifetime))
}

fn claims(session: &Session, now: DateTime<Utc>, longest: Duration, unique: &str) -> Option<(Claims, Duration)> {
    let iat = now.timestamp();
    let exp = iat.saturating_add_unsigned(longest.as_secs()).min(session.expires_at.timestamp());
    let lifetime = u64::try_from(exp - iat).ok().filter(|seconds| *seconds > 0)?;
    let jti = format!("{}.{unique}", session.id);
    Some((Claims::new(session.user.to_string(), iat, exp, jti), Duration::from_secs(lifetime)))
}

fn session_of(claims: &Claims) -> Option<&str> {
    Some(claims.jti.split_once('.')?.0)
}

impl CurrentUser {
    fn new(session: Session, user: User) -> Self {
        Self {
            id: user.id,
            github_id: user.github_id,
            login: user.login,
            name: user.name,
            email: user.email,
            avatar_url: user.avatar_url,
            created_at: user.created_at,
            session: session.id,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use chrono::TimeZone;

    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn noon() -> DateTime<Utc> {
        Utc.with_ymd_and_hms(2026, 5, 1, 12, 0, 0).unwrap()
    }

    fn session(length: Duration) -> Session {
        Session { id: "abc".into(), user: UserId(5), expires_at: noon() + length }
    }

    #[test]
    fn a_token_names_its_session_and_its_user() {
        let (claims, lifetime) = claims(&session(DAY), noon(), DAY, "r").unwrap();
        assert_eq!((claims.sub.as_str(), claims.jti.as_str(), lifetime), ("5", "abc.r", DAY));
        assert_eq!(session_of(&claims), Some("abc"));
    }

    #[test]
    fn a_token_never_outlives_its_session() {
        let (claims, lifetime) = claims(&session(DAY), noon() + DAY - Duration::from_secs(10), DAY, "r").unwrap();
        assert_eq!(lifetime, Duration::from_secs(10));
        assert_eq!(claims.exp, (noon() + DAY).timestamp());
    }

    #[test]
    fn a_session_that_is_over_mints_nothing() {
        assert!(claims(&session(DAY), noon() + DAY, DAY, "r").is_none());
        assert!(claims(&session(DAY), noon() + 2 * DAY, DAY, "r").is_none());
    }

    #[test]
    fn a_token_that_names_no_session_belongs_to_none() {
        assert_eq!(session_of(&Claims::new("5".into(), 0, 1, "abc".into())), None);
    }
}
