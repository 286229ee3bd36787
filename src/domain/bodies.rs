//! Owns the small bodies: cancel, revoke, review, outcome, redeem. Each is closed and collects all its mistakes.
//!
//! Never judges whether the act is allowed, only whether it is well said. A token is a secret from the first line on.

use crate::domain::ask::{MAX_PARAMETERS, MAX_PROSE};
use crate::domain::digest::Digest;
use crate::domain::field_error::FieldError;
use crate::domain::reader::{Errors, Reader, Text, nearest};
use crate::domain::request::{Decision, OutcomeStatus, Touched};
use secrecy::SecretString;
use serde_json::{Map, Value};

const MAX_TOUCHED: usize = 100;
const MAX_TOKEN: usize = 16 * 1024;

/// `POST /v1/requests/{id}/cancel`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CancelBody {
    /// Why, at most 4,000 characters.
    pub reason: Option<String>,
}

/// `POST /v1/requests/{id}/revoke`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RevokeBody {
    /// Why, at most 4,000 characters.
    pub reason: Option<String>,
}

/// `POST /v1/requests/{id}/reviews`.
#[derive(Debug, Clone, PartialEq)]
pub struct ReviewBody {
    /// What the person does.
    pub decision: Decision,
    /// The person's words, at most 4,000 characters; always there for `Comment`.
    pub comment: Option<String>,
    /// The full replacement, there exactly for `Edit`; masked members as they were shown.
    pub parameters: Option<Map<String, Value>>,
    /// Name of one of the request's `deny_options`; only with `Deny`.
    pub option: Option<String>,
    /// What the person had before them. Approve and edit need it (its absence has an answer of its own); a denial
    /// counts with any, so an unreadable one is dropped there.
    pub digest: Option<Digest>,
}

/// `POST /v1/requests/{id}/outcome`; stored as it serialises.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct OutcomeBody {
    /// How it went.
    pub status: OutcomeStatus,
    /// In words, at most 4,000 characters.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
    /// What was touched, at most 100 things.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub touched: Vec<Touched>,
}

/// What an executor is about to do.
#[derive(Debug, Clone, PartialEq)]
pub enum RedeemProof {
    /// The parameters themselves; the digest is recomputed from them.
    Parameters(Map<String, Value>),
    /// The digest that the executor computed.
    Digest(Digest),
    /// Neither: 422 `parameters_required`, judged before anything else.
    Missing,
}

/// `POST /v1/grants/redeem`.
#[derive(Debug, Clone)]
pub struct RedeemBody {
    /// The grant's token.
    pub token: SecretString,
    /// What it shall be redeemed for.
    pub proof: RedeemProof,
}

impl CancelBody {
    /// Reads the body.
    pub fn from_value(value: &Value) -> Result<Self, Vec<FieldError>> {
        read_reason(value).map(|reason| Self { reason })
    }
}

impl RevokeBody {
    /// Reads the body.
    pub fn from_value(value: &Value) -> Result<Self, Vec<FieldError>> {
        read_reason(value).map(|reason| Self { reason })
    }
}

fn read_reason(value: &Value) -> Result<Option<String>, Vec<FieldError>> {
    let errors = Errors::default();
    let reason = Reader::open(value, "", &errors).map(|reader| {
        let reason = reader.text("reason", Text::prose(MAX_PROSE));
        reader.close();
        reason
    });
    errors.finish(reason)
}

impl ReviewBody {
    /// Reads the body.
    pub fn from_value(value: &Value) -> Result<Self, Vec<FieldError>> {
        let errors = Errors::default();
        let body = Reader::open(value, "", &errors).and_then(|reader| Self::read(&reader));
        errors.finish(body)
    }

    fn read(reader: &Reader<'_>) -> Option<Self> {
        let decision = read_decision(reader);
        let comment = reader.text("comment", Text::prose(MAX_PROSE)).filter(|text| !text.trim().is_empty());
        let parameters = reader.free_object("parameters", MAX_PARAMETERS);
        let option = reader.text("option", Text::name(64));
        let digest = reader.text("digest", Text::line(MAX_TOKEN));
        let has_parameters = reader.optional("parameters").is_some();
        reader.close();

        let decision = decision?;
        match decision {
            Decision::Edit if !has_parameters => reader.wrong("parameters", "is required for edit: the full replacement"),
            Decision::Edit => {}
            _ if has_parameters => reader.wrong("parameters", "belongs to the decision \"edit\" only"),
            Decision::Comment if comment.is_none() => reader.wrong("comment", "is required for the decision \"comment\""),
            Decision::Approve | Decision::Deny | Decision::Comment => {}
        }
        if option.is_some() && decision != Decision::Deny {
            reader.wrong("option", "belongs to the decision \"deny\" only");
        }
        let parsed = digest.as_deref().map(str::parse::<Digest>);
        if let (Some(Err(error)), Decision::Approve | Decision::Edit) = (&parsed, decision) {
            reader.wrong("digest", error.to_string());
        }
        Some(Self { decision, comment, parameters, option, digest: parsed.and_then(Result::ok) })
    }
}

fn read_decision(reader: &Reader<'_>) -> Option<Decision> {
    let word = reader.required_text("decision", Text::name(64))?;
    match word.as_str() {
        "approve" => Some(Decision::Approve),
        "deny" => Some(Decision::Deny),
        "edit" => Some(Decision::Edit),
        "comment" => Some(Decision::Comment),
        "ask" => {
            reader.wrong("decision", "\"ask\" is not supported by this version; use comment");
            None
        }
        other => {
            let guess = nearest(other, &["approve", "deny", "edit", "comment"]).map(|guess| format!("; did you mean \"{guess}\"?"));
            reader.wrong("decision", format!("must be one of approve, deny, edit, comment{}", guess.unwrap_or_default()));
            None
        }
    }
}

impl OutcomeBody {
    /// Reads the body.
    pub fn from_value(value: &Value) -> Result<Self, Vec<FieldError>> {
        let errors = Errors::default();
        let body = Reader::open(value, "", &errors).and_then(|reader| {
            let status = match reader.required_text("status", Text::name(64)).as_deref() {
                Some("succeeded") => Some(OutcomeStatus::Succeeded),
                Some("failed") => Some(OutcomeStatus::Failed),
                Some(_) => {
                    reader.wrong("status", "must be \"succeeded\" or \"failed\"");
                    None
                }
                None => None,
            };
            let detail = reader.text("detail", Text::prose(MAX_PROSE));
            let items = reader.list("touched", MAX_TOUCHED).unwrap_or_default();
            let touched = items.into_iter().filter_map(|(at, item)| read_touched(&Reader::open(item, at, &errors)?)).collect();
            reader.close();
            Some(Self { status: status?, detail, touched })
        });
        errors.finish(body)
    }
}

fn read_touched(reader: &Reader<'_>) -> Option<Touched> {
    let kind = reader.required_text("type", Text::name(64));
    let id = reader.required_text("id", Text::name(1_000));
    let count = reader.integer("count");
    reader.close();
    if count.is_some_and(i64::is_negative) {
        reader.wrong("count", "must not be negative");
    }
    Some(Touched { kind: kind?, id: id?, count: count.and_then(|count| u64::try_from(count).ok()) })
}

impl RedeemBody {
    /// Reads the body. A body with neither parameters nor digest is well-formed here: `RedeemProof::Missing`.
    pub fn from_value(value: &Value) -> Result<Self, Vec<FieldError>> {
        let errors = Errors::default();
        let body = Reader::open(value, "", &errors).and_then(|reader| {
            let token = reader.required_text("token", Text::name(MAX_TOKEN));
            let parameters = reader.free_object("parameters", MAX_PARAMETERS);
            let digest = reader.text("digest", Text::line(MAX_TOKEN));
            let both = reader.optional("parameters").is_some() && reader.optional("digest").is_some();
            reader.close();
            if both {
                reader.wrong("digest", "give either parameters or digest, not both");
            }
            let proof = match (parameters, digest.map(|text| text.parse::<Digest>())) {
                (Some(parameters), _) => RedeemProof::Parameters(parameters),
                (None, Some(Ok(digest))) => RedeemProof::Digest(digest),
                (None, Some(Err(error))) => {
                    reader.wrong("digest", error.to_string());
                    RedeemProof::Missing
                }
                (None, None) => RedeemProof::Missing,
            };
            Some(Self { token: SecretString::from(token?), proof })
        });
        errors.finish(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;
    use serde_json::json;

    fn pointers<T>(result: Result<T, Vec<FieldError>>) -> Vec<String> {
        match result {
            Ok(_) => panic!("accepted"),
            Err(errors) => errors.into_iter().map(|error| error.pointer).collect(),
        }
    }

    #[test]
    fn a_reason_is_optional_and_alone() {
        assert_eq!(CancelBody::from_value(&json!({})).unwrap().reason, None);
        assert_eq!(RevokeBody::from_value(&json!({"reason": "no longer\nneeded"})).unwrap().reason.unwrap(), "no longer\nneeded");
        assert_eq!(pointers(CancelBody::from_value(&json!({"resaon": "x"}))), ["/resaon"]);
        assert_eq!(pointers(RevokeBody::from_value(&json!({"reason": 1}))), ["/reason"]);
        assert_eq!(pointers(CancelBody::from_value(&json!({"reason": "x".repeat(4001)}))), ["/reason"]);
        assert_eq!(pointers(CancelBody::from_value(&json!("x"))), [""]);
    }

    #[test]
    fn reviews_carry_what_belongs_to_their_decision() {
        let digest = format!("sha256:{}", "ab".repeat(32));
        let review =
            ReviewBody::from_value(&json!({"decision": "edit", "parameters": {"a": 1}, "digest": digest, "comment": "ok"})).unwrap();
        assert_eq!((review.decision, review.digest.unwrap().to_string()), (Decision::Edit, digest.clone()));
        // The absence of the digest has an answer of its own, given by the use case.
        assert_eq!(ReviewBody::from_value(&json!({"decision": "approve"})).unwrap().digest, None);
        // A denial counts whatever digest it carries.
        let denial = ReviewBody::from_value(&json!({"decision": "deny", "digest": "9f2c41d7a0be", "option": "use_staging"})).unwrap();
        assert_eq!((denial.digest, denial.option.as_deref()), (None, Some("use_staging")));

        for (body, expected) in [
            (json!({}), "/decision"),
            (json!({"decision": "ask", "comment": "why?"}), "/decision"),
            (json!({"decision": "aprove"}), "/decision"),
            (json!({"decision": "edit", "digest": digest}), "/parameters"),
            (json!({"decision": "edit", "parameters": [], "digest": digest}), "/parameters"),
            (json!({"decision": "approve", "parameters": {}, "digest": digest}), "/parameters"),
            (json!({"decision": "approve", "option": "x", "digest": digest}), "/option"),
            (json!({"decision": "approve", "digest": "9f2c41d7a0be"}), "/digest"),
            (json!({"decision": "approve", "digest": 1}), "/digest"),
            (json!({"decision": "comment"}), "/comment"),
            (json!({"decision": "comment", "comment": " \n"}), "/comment"),
            (json!({"decision": "deny", "comment": "x".repeat(4001)}), "/comment"),
            (json!({"decision": "deny", "coment": "x"}), "/coment"),
        ] {
            assert_eq!(pointers(ReviewBody::from_value(&body)), [expected], "{body}");
        }
    }

    #[test]
    fn outcomes_are_closed_down_to_their_items() {
        let body = json!({"status": "failed", "detail": "disk full", "touched": [{"type": "table", "id": "customers", "count": 3}, {"type": "file", "id": "x"}]});
        let outcome = OutcomeBody::from_value(&body).unwrap();
        assert_eq!(serde_json::to_value(&outcome).unwrap(), body);
        assert_eq!(
            pointers(OutcomeBody::from_value(&json!({"status": "ok", "touched": [{"type": "t", "id": 1, "count": -1, "n": 1}, 5]}))),
            ["/status", "/touched/0/id", "/touched/0/n", "/touched/0/count", "/touched/1"]
        );
    }

    #[test]
    fn a_redemption_names_what_it_is_for() {
        let with = RedeemBody::from_value(&json!({"token": "e.y.j", "parameters": {}})).unwrap();
        assert_eq!(with.token.expose_secret(), "e.y.j");
        assert_eq!(with.proof, RedeemProof::Parameters(Map::new()));
        assert!(!format!("{with:?}").contains("e.y.j"));
        assert_eq!(RedeemBody::from_value(&json!({"token": "t"})).unwrap().proof, RedeemProof::Missing);
        let digest = format!("sha256:{}", "ab".repeat(32));
        assert!(matches!(RedeemBody::from_value(&json!({"token": "t", "digest": digest})).unwrap().proof, RedeemProof::Digest(_)));
        assert_eq!(pointers(RedeemBody::from_value(&json!({"token": "t", "digest": "x"}))), ["/digest"]);
        assert_eq!(pointers(RedeemBody::from_value(&json!({"token": "t", "digest": digest, "parameters": {}}))), ["/digest"]);
        assert_eq!(pointers(RedeemBody::from_value(&json!({"parameters": {}}))), ["/token"]);
        assert_eq!(pointers(RedeemBody::from_value(&json!({"token": "t", "params": {}}))), ["/params"]);
    }
}
