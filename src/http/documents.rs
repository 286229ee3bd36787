//! Owns the shapes of bodies and answers that OpenAPI shows but no code needs: what is parsed by hand is described here.
//!
//! Never used to read anything: the strict readers of `domain` are the truth, and the contract tests hold them against this.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Body of `POST /v1/requests` and `/v1/evaluate`. Unknown members are refused.
#[derive(Debug, Serialize, ToSchema)]
pub struct AskDocument {
    /// Lower-case words joined by dots.
    #[schema(pattern = r"^[a-z0-9_-]+(\.[a-z0-9_-]+)*$", max_length = 128, example = "db.export")]
    pub action: String,
    /// Free object; `type`, `id` and `environment` are strings.
    #[schema(value_type = Option<Object>)]
    pub resource: Option<Value>,
    /// Free object of at most 64 KiB and 32 levels.
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<Value>,
    /// One line.
    #[schema(max_length = 300)]
    pub summary: Option<String>,
    /// Why, in the caller's words.
    #[schema(max_length = 4000)]
    pub justification: Option<String>,
    /// Free object; `source` and `data_scope` are shown on the card.
    #[schema(value_type = Option<Object>)]
    pub context: Option<Value>,
    /// At most 10, https.
    pub links: Option<Vec<LinkDocument>>,
    /// Free object about the agent.
    #[schema(value_type = Option<Object>)]
    pub agent: Option<Value>,
    /// Person id or e-mail; only within the client's `may_act_for`.
    pub on_behalf_of: Option<String>,
    /// Must contain `deny`; default `["approve", "deny"]`.
    pub allowed_decisions: Option<Vec<String>>,
    /// Subset of JSON Schema; what a reviewer may change.
    #[schema(value_type = Option<Object>)]
    pub edit_schema: Option<Value>,
    /// Ready reasons to deny.
    pub deny_options: Option<Vec<DenyOptionDocument>>,
    /// JSON pointers into `parameters` that are masked wherever they are shown.
    pub sensitive: Option<Vec<String>>,
    /// Seconds until it expires: 10 to 2592000.
    #[schema(minimum = 10, maximum = 2_592_000)]
    pub expires_in: Option<u64>,
    /// Where to be told of changes; needs the client's `webhook_secret`.
    pub callback: Option<CallbackDocument>,
    /// Who redeems the grant, and how long it lives.
    pub grant: Option<GrantWishDocument>,
    /// Returned verbatim to the requester.
    pub state: Option<String>,
}

/// A link.
#[derive(Debug, Serialize, ToSchema)]
pub struct LinkDocument {
    /// What it leads to.
    pub title: String,
    /// https.
    pub url: String,
}

/// A ready reason to deny.
#[derive(Debug, Serialize, ToSchema)]
pub struct DenyOptionDocument {
    /// For the caller's program.
    pub name: String,
    /// For the reviewer.
    pub title: String,
}

/// What the caller wants of the grant.
#[derive(Debug, Serialize, ToSchema)]
pub struct GrantWishDocument {
    /// Name of an enabled client with `grants:redeem`; default the requester.
    pub audience: Option<String>,
    /// Seconds, clamped to 10 … 120.
    pub ttl: Option<u64>,
}

/// Where to be told of changes, as Standard Webhooks.
#[derive(Debug, Serialize, ToSchema)]
pub struct CallbackDocument {
    /// A public https address.
    #[schema(max_length = 2048)]
    pub url: String,
    /// `terminal`, `updated` or both; default `["terminal"]`.
    pub events: Option<Vec<String>>,
}

/// Body of a cancel or a revoke.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReasonDocument {
    /// Why.
    #[schema(max_length = 4000)]
    pub reason: Option<String>,
}

/// Body of a review.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReviewDocument {
    /// `approve`, `deny`, `edit` or `comment`.
    pub decision: String,
    /// The reviewer's words.
    #[schema(max_length = 4000)]
    pub comment: Option<String>,
    /// The full replacement, for `edit` only.
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<Value>,
    /// Name of a deny option.
    pub option: Option<String>,
    /// The whole digest that the reviewer was shown; required for `approve` and `edit`.
    pub digest: Option<String>,
}

/// Body of an outcome.
#[derive(Debug, Serialize, ToSchema)]
pub struct OutcomeDocument {
    /// `succeeded` or `failed`.
    pub status: String,
    /// In words.
    pub detail: Option<String>,
    /// What was touched: `{type, id, count?}`.
    #[schema(value_type = Option<Vec<Object>>)]
    pub touched: Option<Vec<Value>>,
}

/// Body of a redeem: the token and what is about to be done.
#[derive(Debug, Serialize, ToSchema)]
pub struct RedeemDocument {
    /// The grant.
    pub token: String,
    /// The parameters; or the digest.
    #[schema(value_type = Option<Object>)]
    pub parameters: Option<Value>,
    /// `sha256:…`.
    pub digest: Option<String>,
}

/// A redeemed grant.
#[derive(Debug, Serialize, ToSchema)]
pub struct RedeemedDocument {
    /// The request.
    pub request_id: String,
    /// The action.
    pub action: String,
    /// The resource.
    #[schema(value_type = Option<Object>)]
    pub resource: Option<Value>,
    /// The parameters that were approved.
    #[schema(value_type = Object)]
    pub parameters: Value,
    /// The grant's id.
    pub jti: String,
    /// RFC 3339.
    pub redeemed_at: String,
}

/// Body of an introspection.
#[derive(Debug, Serialize, ToSchema)]
pub struct IntrospectDocument {
    /// The grant.
    pub token: String,
}

/// RFC 7662 §2.2; the claims of the grant when it is active.
#[derive(Debug, Serialize, ToSchema)]
pub struct IntrospectionDocument {
    /// It can be redeemed now, by this caller.
    pub active: bool,
}

/// What policy would say.
#[derive(Debug, Serialize, ToSchema)]
pub struct EvaluationDocument {
    /// `allow`, `review` or `deny`.
    pub effect: String,
    /// Ids of the rules that match.
    pub rules: Vec<String>,
    /// Version of the policy.
    pub version: String,
    /// For people.
    pub explanation: String,
    /// The quorum.
    #[schema(value_type = Vec<Object>)]
    pub seats: Vec<Value>,
    /// What the caller must give.
    pub require: Vec<String>,
    /// Seconds.
    pub expires_in: u64,
}

/// A client.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClientDocument {
    /// `cli_…`.
    pub id: String,
    /// The name.
    pub name: String,
    /// Who answers for it.
    pub owner: Option<String>,
    /// What it may do.
    pub scopes: Vec<String>,
    /// For whom it may ask.
    pub may_act_for: Vec<String>,
    /// Its keys work.
    pub enabled: bool,
    /// Frozen since.
    pub frozen_at: Option<String>,
}

/// A page of clients.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClientPage {
    /// By id.
    pub items: Vec<ClientDocument>,
    /// For the next page.
    pub next_cursor: Option<String>,
}

/// Body of a new client.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewClientDocument {
    /// `[a-z0-9][a-z0-9._-]{0,63}`.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Required with `requests:write`.
    pub owner: Option<String>,
    /// Globs over e-mail addresses.
    pub may_act_for: Option<Vec<String>>,
}

/// A client with a key that was just made.
#[derive(Debug, Serialize, ToSchema)]
pub struct NewKeyDocument {
    /// `cli_…`.
    pub id: String,
    /// The name.
    pub name: String,
    /// Shown once.
    pub key: String,
    /// RFC 3339.
    pub key_expires_at: String,
}

/// Version of a policy.
#[derive(Debug, Serialize, ToSchema)]
pub struct PolicyVersionDocument {
    /// `sha256:…`.
    pub version: String,
    /// What is hardly meant.
    #[schema(value_type = Vec<Object>)]
    pub warnings: Vec<Value>,
}

/// Result of a check.
#[derive(Debug, Serialize, ToSchema)]
pub struct PolicyCheckDocument {
    /// It would load.
    pub ok: bool,
    /// `sha256:…` when it would.
    pub version: Option<String>,
    /// `{line, column, severity, rule, message}`.
    #[schema(value_type = Vec<Object>)]
    pub findings: Vec<Value>,
}

/// An event of the log.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditEventDocument {
    /// From 1, without gaps.
    pub seq: u64,
    /// `evt_…`.
    pub id: String,
    /// What happened.
    pub r#type: String,
    /// RFC 3339.
    pub at: String,
    /// `{kind, id}`.
    #[schema(value_type = Object)]
    pub actor: Value,
    /// The request.
    pub request: Option<String>,
    /// Facts; never a name or a text.
    #[schema(value_type = Object)]
    pub data: Value,
    /// 64 hex characters.
    pub leaf_hash: String,
    /// 64 hex characters.
    pub chain_hash: String,
}

/// A page of the log.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditPage {
    /// Oldest first.
    pub items: Vec<AuditEventDocument>,
    /// For the next page.
    pub next_cursor: Option<String>,
}

/// State of the server.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReadinessDocument {
    /// `ready` or `not_ready`.
    pub status: String,
    /// What works less well, each with a reason.
    #[schema(value_type = Object)]
    pub degraded: Value,
}
