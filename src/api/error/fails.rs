//! What each operation answers when it does not succeed, declared beside it.

use poem_openapi::{
    registry::{MetaMediaType, MetaResponse, Registry},
    types::Type,
};

use super::ErrorBody;

/// One documented answer that is not a success.
pub(crate) fn documented(status: u16, description: &'static str) -> MetaResponse {
    MetaResponse {
        description,
        status: Some(status),
        status_range: None,
        content: vec![MetaMediaType { content_type: "application/json", schema: ErrorBody::schema_ref() }],
        headers: Vec::new(),
    }
}

/// Makes [`ErrorBody`] known to the document.
pub(crate) fn register(registry: &mut Registry) {
    ErrorBody::register(registry);
}

/// Declares what an operation answers when it does not succeed: each status with the sentences it may carry.
///
/// What holds for whole families of operations (no user, unreadable parameter, our fault) is added to the document
/// by `docs`. An answer that is not declared fails every test that meets it.
macro_rules! fails {
    ($(#[$doc:meta])* $name:ident { $($status:literal $first:literal $(| $more:literal)*;)* }) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(super) struct $name($crate::api::error::Problem);

        impl<E> From<E> for $name
        where
            $crate::api::error::Problem: From<E>,
        {
            fn from(error: E) -> Self {
                let problem = $crate::api::error::Problem::from(error);
                debug_assert!(
                    [500u16 $(, $status)*].contains(&problem.status().as_u16()),
                    "{} does not document {problem}",
                    stringify!($name)
                );
                Self(problem)
            }
        }

        impl From<$name> for poem::Error {
            fn from(error: $name) -> Self {
                error.0.into()
            }
        }

        impl poem_openapi::ApiResponse for $name {
            fn meta() -> poem_openapi::registry::MetaResponses {
                poem_openapi::registry::MetaResponses {
                    responses: vec![$($crate::api::error::documented($status, concat!($first $(, "; ", $more)*))),*],
                }
            }

            fn register(registry: &mut poem_openapi::registry::Registry) {
                $crate::api::error::register(registry);
            }
        }
    };
}
pub(crate) use fails;
