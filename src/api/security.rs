//! Who is asking: a bearer token, or the cookie of a browser that signed in.
//!
//! A handler gets a [`Caller`] as its first argument or is not called at all, so a request without a user learns
//! nothing else. Where both are given the token decides. A request that changes something on the cookie's word must come
//! from one of our own pages.

use poem::{
    Request, RequestBody,
    http::{HeaderMap, header},
};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions, SecurityScheme,
    auth::{ApiKey, Bearer},
    registry::Registry,
};

use super::{cors::Cors, edge::is_safe, error::Problem};
use crate::{
    accounts::session::{self, CurrentUser},
    app::Handle,
};

/// The cookie that holds a browser's JWT.
pub(super) const COOKIE: &str = "access_token";

/// A JWT from `POST /auth/token`.
#[derive(SecurityScheme)]
#[oai(rename = "bearer", ty = "bearer", bearer_format = "JWT")]
#[expect(dead_code, reason = "stands in the document; `Caller` reads the header")]
pub(super) struct BearerScheme(Bearer);

/// The cookie set by signing in. Requests that change something must come from a page of this server or its front end
/// (`Sec-Fetch-Site: same-origin`, or an `Origin` that is theirs).
#[derive(SecurityScheme)]
#[oai(rename = "cookie", ty = "api_key", key_in = "cookie", key_name = "access_token")]
#[expect(dead_code, reason = "stands in the document; `Caller` reads the cookie")]
pub(super) struct CookieScheme(ApiKey);

/// Who is asking, by token or by cookie.
pub(super) struct Caller(pub(super) CurrentUser);

/// Who is asking, by cookie only: a token must not beget tokens.
pub(super) struct Browser(pub(super) CurrentUser);

impl<'a> ApiExtractor<'a> for Caller {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        BearerScheme::register(registry);
        CookieScheme::register(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        [BearerScheme::security_schemes(), CookieScheme::security_schemes()].concat()
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        Ok(identify(request).await.map(Self)?)
    }
}

impl<'a> ApiExtractor<'a> for Browser {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        CookieScheme::register(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        CookieScheme::security_schemes()
    }

    async fn from_request(
        request: &'a Request,
        _body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let user = identify(request).await?;
        match credential(request) {
            Some(Credential::Cookie(_)) => Ok(Self(user)),
            _ => Err(Problem::forbidden("A bearer token mints no tokens: sign in with a browser").into()),
        }
    }
}

/// What a request shows to prove its user.
#[derive(Debug, PartialEq, Eq)]
enum Credential {
    Bearer(String),
    Cookie(String),
}

async fn identify(request: &Request) -> Result<CurrentUser, Problem> {
    let app = request.data::<Handle>().ok_or_else(|| Problem::internal("no app in the request"))?;
    let credential = credential(request).ok_or_else(Problem::unauthorized)?;
    let (Credential::Bearer(jwt) | Credential::Cookie(jwt)) = &credential;
    let user = session::authenticate(app, jwt).await?;
    let rides_on_cookie = matches!(credential, Credential::Cookie(_));
    if rides_on_cookie && !is_safe(request.method()) {
        let cors = request.data::<Cors>().ok_or_else(|| Problem::internal("no origins in the request"))?;
        if !cors.may_change(request.headers()) {
            return Err(Problem::forbidden(
                "With the cookie this must come from a page of this server: send Sec-Fetch-Site or Origin, or use a bearer token",
            ));
        }
    }
    Ok(user)
}

fn credential(request: &Request) -> Option<Credential> {
    match request.headers().get(header::AUTHORIZATION) {
        // Whatever stands there decides: a broken token is not made good by a cookie.
        Some(_) => bearer(request.headers()).map(Credential::Bearer),
        None => request.cookie().get(COOKIE).map(|cookie| Credential::Cookie(cookie.value_str().to_owned())),
    }
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (only, None) = (all.next()?.to_str().ok()?, all.next()) else { return None };
    let (scheme, token) = only.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn bearer_of(values: &[&'static str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::AUTHORIZATION, value.parse().unwrap());
        }
        bearer(&headers)
    }

    #[test]
    fn only_one_bearer_token_is_a_bearer_token() {
        assert_eq!(bearer_of(&["Bearer a.b.c"]).unwrap(), "a.b.c");
        assert_eq!(bearer_of(&["bearer a.b.c"]).unwrap(), "a.b.c");
        for bad in [&["Basic dTpw"][..], &["Bearer"], &["a.b.c"], &["Bearer a", "Bearer b"], &[]] {
            assert_eq!(bearer_of(bad), None, "{bad:?}");
        }
    }
}
