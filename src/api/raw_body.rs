//! A delivery's body as an argument: untouched bytes, documented as what they must turn out to be.
//!
//! The types here stand in the document only. What a body says is read by `webhook`, once its signature held.

use poem::{Body, Request, RequestBody};
use poem_openapi::{
    ApiExtractor, ApiExtractorType, ExtractParamOptions, Object,
    registry::{MetaMediaType, MetaRequest, Registry},
    types::Type,
};

use super::time::Time;

/// The body, not read yet.
pub(super) struct RawBody(pub(super) Body);

/// What nectr reads of a payload; GitHub sends much more.
#[derive(Debug, Object)]
#[oai(rename = "WebhookPayload")]
struct Payload {
    /// What happened, e.g. `opened`.
    action: Option<String>,
    /// Where.
    repository: Option<PayloadRepository>,
    /// To which pull request.
    pull_request: Option<PayloadPull>,
}

/// A repository in a payload.
#[derive(Debug, Object)]
#[oai(rename = "WebhookRepository")]
struct PayloadRepository {
    /// GitHub's id: what decides.
    id: i64,
    /// Owner and name.
    full_name: String,
}

/// A pull request in a payload.
#[derive(Debug, Object)]
#[oai(rename = "WebhookPullRequest")]
struct PayloadPull {
    /// Its number.
    number: i64,
    /// `open` or `closed`.
    state: String,
    /// Whether it was merged.
    merged: Option<bool>,
    /// Whether it is a draft.
    draft: Option<bool>,
    /// Its head.
    head: PayloadBranch,
    /// Its base.
    base: PayloadBranch,
    /// When it last changed.
    updated_at: Time,
}

/// One end of a pull request in a payload.
#[derive(Debug, Object)]
#[oai(rename = "WebhookBranch")]
struct PayloadBranch {
    /// Commit.
    sha: String,
    /// Branch.
    #[oai(rename = "ref")]
    name: String,
}

/// A payload inside a form.
#[derive(Debug, Object)]
#[oai(rename = "WebhookForm")]
struct PayloadForm {
    /// The JSON.
    payload: String,
}

impl<'a> ApiExtractor<'a> for RawBody {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        Payload::register(registry);
        PayloadForm::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let json = MetaMediaType { content_type: "application/json", schema: Payload::schema_ref() };
        let form =
            MetaMediaType { content_type: "application/x-www-form-urlencoded", schema: PayloadForm::schema_ref() };
        Some(MetaRequest {
            description: Some("As GitHub sends it, at most 25 MiB."),
            content: vec![json, form],
            required: true,
        })
    }

    async fn from_request(
        _request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        Ok(Self(body.take()?))
    }
}
