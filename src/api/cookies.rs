//! Redirects, and the two cookies we bake: the session's, and for the minutes of a sign-in the browser's.

use std::time::Duration;

use poem::{
    IntoResponse, Response,
    http::{HeaderValue, StatusCode, header},
    web::cookie::{Cookie, SameSite},
};
use poem_openapi::{
    ApiResponse,
    registry::{MetaHeader, MetaResponse, MetaResponses, Registry},
    types::Type,
};

use super::security::COOKIE;
use crate::app::Handle;

/// Ties a sign-in to the browser that began it.
pub(super) const BROWSER_COOKIE: &str = "nectr_sign_in";

/// As long as the state GitHub carries back is good.
const BROWSER_COOKIE_AGE: Duration = Duration::from_secs(600);

/// 302, with the cookies that go along.
pub(super) struct Redirect {
    location: String,
    cookies: Vec<HeaderValue>,
}

impl Redirect {
    pub(super) fn to(location: String) -> Self {
        Self { location, cookies: Vec::new() }
    }

    pub(super) fn setting(mut self, cookie: HeaderValue) -> Self {
        self.cookies.push(cookie);
        self
    }
}

impl IntoResponse for Redirect {
    fn into_response(self) -> Response {
        let mut response =
            Response::builder().status(StatusCode::FOUND).header(header::LOCATION, self.location).finish();
        for cookie in self.cookies {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        response
    }
}

impl ApiResponse for Redirect {
    fn meta() -> MetaResponses {
        let header = |name: &str, description: &str| MetaHeader {
            name: name.to_owned(),
            description: Some(description.to_owned()),
            required: name == "Location",
            deprecated: false,
            schema: String::schema_ref(),
        };
        MetaResponses {
            responses: vec![MetaResponse {
                description: "Go on there.",
                status: Some(302),
                status_range: None,
                content: Vec::new(),
                headers: vec![header("Location", "Where to."), header("Set-Cookie", "The cookies that go along.")],
            }],
        }
    }

    fn register(_registry: &mut Registry) {}
}

/// Bakes our cookies, all alike in what protects them.
pub(super) struct Jar {
    secure: bool,
}

impl Jar {
    pub(super) fn new(app: &Handle) -> Self {
        Self { secure: app.config.production }
    }

    pub(super) fn session(&self, jwt: &str, lifetime: Duration) -> HeaderValue {
        self.bake(COOKIE, jwt, "/", lifetime)
    }

    pub(super) fn no_session(&self) -> String {
        self.bake(COOKIE, "", "/", Duration::ZERO).to_str().unwrap_or_default().to_owned()
    }

    pub(super) fn browser(&self, secret: &str) -> HeaderValue {
        self.bake(BROWSER_COOKIE, secret, "/auth", BROWSER_COOKIE_AGE)
    }

    pub(super) fn no_browser(&self) -> HeaderValue {
        self.bake(BROWSER_COOKIE, "", "/auth", Duration::ZERO)
    }

    fn bake(&self, name: &str, value: &str, path: &str, age: Duration) -> HeaderValue {
        let mut cookie = Cookie::new_with_str(name, value);
        cookie.set_path(path);
        cookie.set_http_only(true);
        cookie.set_same_site(SameSite::Lax);
        cookie.set_secure(self.secure);
        cookie.set_max_age(age);
        // Ours are hex and JWTs: always valid in a header.
        HeaderValue::from_str(&cookie.to_string()).unwrap_or(HeaderValue::from_static(""))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_session_cookie_is_out_of_reach_of_scripts_and_other_sites() {
        let cookie = Jar { secure: true }.session("a.b.c", Duration::from_secs(60));
        let cookie = cookie.to_str().unwrap();
        assert!(cookie.starts_with("access_token=a.b.c"), "{cookie}");
        for part in ["HttpOnly", "SameSite=Lax", "Secure", "Path=/", "Max-Age=60"] {
            assert!(cookie.split("; ").any(|found| found == part), "{part} is missing in {cookie}");
        }
        assert!(!Jar { secure: false }.session("x", Duration::ZERO).to_str().unwrap().contains("Secure"));
        assert!(Jar { secure: false }.no_session().contains("Max-Age=0"));
    }
}
