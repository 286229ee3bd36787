//! Owns the reviewer's page of `countersign demo`: see the card, be one of the sample people, decide.
//!
//! Never reachable in `serve`: its routes exist only when the demo put a `Demo` into the app, and every path carries the
//! random token that the demo printed. A decision goes through the same use case as every other one.

use super::App;
use super::extract::{Form, Path, Query};
use super::problem::Problem;
use crate::directory::Identity;
use crate::domain::card::Card;
use crate::domain::digest::Digest;
use crate::domain::person::Via;
use crate::domain::request::Decision;
use crate::domain::time::Timestamp;
use crate::engine::Failure;
use crate::engine::caller::SignedIn;
use crate::engine::review::Wish;
use crate::store::RequestFilter;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;

/// What the demo's page needs.
#[derive(Debug)]
pub struct Demo {
    /// Random; part of every path.
    pub token: String,
    /// E-mail addresses of the sample people, in the order of the page.
    pub people: Vec<String>,
}

/// The demo's routes.
pub fn routes() -> Router<App> {
    Router::new().route("/demo/{token}", get(page)).route("/demo/{token}/be", post(be)).route("/demo/{token}/requests/{id}", post(decide))
}

/// The query of the page.
#[derive(Debug, Default, serde::Deserialize)]
pub struct PageQuery {
    /// A sentence from the act before.
    said: Option<String>,
    /// Whether it is bad news.
    bad: Option<String>,
}

async fn page(
    State(app): State<App>,
    Path(token): Path<String>,
    Query(query): Query<PageQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let demo = admit(&app, &token)?;
    let me = app.sessions.signed_in(&headers, &axum::http::Method::GET);
    let mut people = Vec::new();
    for email in &demo.people {
        let Some(person) = app.engine.present(&Identity::Email(email.clone())).await? else { continue };
        let chosen = me.as_ref().is_some_and(|me| me.id == person.id);
        people
            .push(json!({"email": person.email, "name": person.name, "groups": person.groups, "active": person.active, "chosen": chosen}));
    }
    let requests = app.engine.store.requests(&RequestFilter::default(), None, 20).await.map_err(Failure::from)?;
    let mut cards = Vec::new();
    for request in requests {
        let card = app.engine.card(&request).await?;
        cards.push(card_data(&card, app.engine.clock.now()));
    }
    let pending = cards.iter().filter(|card| card["pending"] == true).count();
    let data = json!({
        "token": demo.token, "people": people, "cards": cards, "pending": pending,
        "me": me.is_some(), "said": query.said, "bad": query.bad.is_some(),
    });
    let page = app.pages.render("demo.html", &data);
    let policy = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
    Ok(([(header::CONTENT_SECURITY_POLICY, policy), (header::REFERRER_POLICY, "same-origin")], Html(page)).into_response())
}

fn card_data(card: &Card, now: Timestamp) -> Value {
    let mut data = json!(card);
    if let Some(data) = data.as_object_mut() {
        data.insert("word".to_owned(), Value::from(card.word()));
        data.insert("pending".to_owned(), Value::from(card.is_pending()));
        data.insert("short_digest".to_owned(), Value::from(card.digest.short()));
        data.insert("minutes_left".to_owned(), Value::from(card.expires_at.since(now).as_secs().div_ceil(60)));
    }
    data
}

/// Whom to be.
#[derive(Debug, serde::Deserialize)]
pub struct Be {
    email: String,
}

async fn be(State(app): State<App>, Path(token): Path<String>, Form(form): Form<Be>) -> Result<Response, Problem> {
    let demo = admit(&app, &token)?;
    if !demo.people.contains(&form.email) {
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "unknown_person", "This is not one of the sample people."));
    }
    let person = app.engine.present(&Identity::Email(form.email)).await?.ok_or(Failure::NotFound("person"))?;
    let key = app.engine.store.person(&person.id).await.map_err(Failure::from)?.ok_or(Failure::NotFound("person"))?.key;
    let session = crate::domain::audit::hex(&app.engine.random.bytes::<32>());
    app.sessions.open(session.clone(), SignedIn { id: person.id, key, via: Via::Web });
    let cookie = format!("{}={session}; Path=/; HttpOnly; SameSite=Strict", super::sessions::COOKIE);
    let mut response = Redirect::to(&format!("/demo/{token}")).into_response();
    if let Ok(cookie) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// A decision from the page.
#[derive(Debug, serde::Deserialize)]
pub struct Decide {
    decision: String,
    digest: String,
    #[serde(default)]
    comment: String,
    #[serde(default)]
    option: String,
}

async fn decide(
    State(app): State<App>,
    Path((token, id)): Path<(String, String)>,
    headers: HeaderMap,
    Form(form): Form<Decide>,
) -> Result<Response, Problem> {
    admit(&app, &token)?;
    let back = |said: &str, bad: bool| {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("said", said);
        if bad {
            query.append_pair("bad", "1");
        }
        Redirect::to(&format!("/demo/{token}?{}", query.finish())).into_response()
    };
    let Some(me) = app.sessions.signed_in(&headers, &axum::http::Method::POST) else {
        return Ok(back("First choose who you are.", true));
    };
    let decision = match form.decision.as_str() {
        "approve" => Decision::Approve,
        "deny" => Decision::Deny,
        "comment" => Decision::Comment,
        _ => return Err(Problem::malformed("There is no such decision.")),
    };
    let filled = |text: String| (!text.trim().is_empty()).then_some(text);
    let wish = Wish {
        decision,
        comment: filled(form.comment),
        option: filled(form.option),
        parameters: None,
        digest: form.digest.parse::<Digest>().ok(),
    };
    let id = super::requests::request_id(&id)?;
    // The page shows every card to everybody, as a channel does; who may not decide is told so.
    Ok(match app.engine.review(&id, &Identity::Key(me.key), &wish, me.via, None).await {
        Ok(_) => back("Recorded.", false),
        Err(failure) => back(&failure.to_string(), true),
    })
}

fn admit<'a>(app: &'a App, token: &str) -> Result<&'a Demo, Problem> {
    let demo = app.demo.as_deref().ok_or_else(Problem::no_such_path)?;
    if bool::from(demo.token.as_bytes().ct_eq(token.as_bytes())) { Ok(demo) } else { Err(Problem::no_such_path()) }
}
