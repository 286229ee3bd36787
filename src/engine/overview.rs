//! Owns what a person is told when they ask: what waits for them, how a request stands, and who may approve it.
//!
//! Never decides anything, and never tells a stranger more than no: who asks is verified as at a tap, and sees what they would
//! see over the API.

use super::{Engine, Failure};
use crate::chat::{Account, ChatPlatform, Command, Page, PageSection};
use crate::domain::card::{Card, Phase};
use crate::domain::ids::RequestId;
use crate::domain::person::Person;
use crate::domain::request::{Request, Status};
use crate::domain::seats;
use crate::store::RequestFilter;

/// Requests shown in one part of a page.
const SHOWN: usize = 10;
/// Requests looked at for one part of a page.
const SCANNED: u32 = 200;
/// People named in one line.
const NAMED: usize = 20;

const STRANGER: &str = "Sorry, I can only answer people whom the company directory knows as active members.";
const NOT_YOURS: &str = "There is no such request, or it is not yours.";
const HELP: [&str; 4] = [
    "/countersign pending: what waits for your decision",
    "/countersign show ID: how a request stands",
    "/countersign who ID: who may approve it, and why not others",
    "/countersign help: these lines",
];

impl Engine {
    /// Answers a command privately.
    pub async fn answer_command(&self, platform: &dyn ChatPlatform, command: &Command) {
        let page = match self.verified(platform, &command.account).await {
            Ok(Some(person)) => self.answer_to(&person, &command.words).await,
            Ok(None) => Ok(one("Countersign", [STRANGER.to_owned()])),
            Err(failure) => Err(failure),
        };
        let page = page.unwrap_or_else(|failure| one("Countersign", [failure.to_string()]));
        platform.answer(&command.account, &command.reply, &page).await;
    }

    /// Draws the app's own page for a person.
    pub async fn show_home(&self, platform: &dyn ChatPlatform, account: &Account) {
        let page = match self.verified(platform, account).await {
            Ok(Some(person)) => self.home(&person).await,
            Ok(None) => Ok(one("Countersign", [STRANGER.to_owned()])),
            Err(failure) => Err(failure),
        };
        let page = page.unwrap_or_else(|failure| one("Countersign", [failure.to_string()]));
        if let Err(error) = platform.show_home(account, &page).await {
            tracing::warn!(code = error.code(), "the page of the app could not be shown");
        }
    }

    /// The active human whom the directory ties to an account; `None` for everybody else.
    async fn verified(&self, platform: &dyn ChatPlatform, account: &Account) -> Result<Option<Person>, Failure> {
        let facts = match platform.check_account(account, self.clock.now()).await {
            Ok(facts) => facts,
            Err(error) => {
                metrics::counter!("countersign_taps_refused_total", "reason" => error.code()).increment(1);
                return Ok(None);
            }
        };
        let person = self.present(&platform.identity(account, Some(&facts))).await?;
        Ok(person.filter(|person| person.active && person.human))
    }

    async fn answer_to(&self, person: &Person, words: &str) -> Result<Page, Failure> {
        let mut words = words.split_whitespace();
        match (words.next().map(str::to_lowercase).as_deref(), words.next(), words.next()) {
            (None | Some("help"), None, None) => Ok(one("Countersign", HELP.map(str::to_owned))),
            (Some("pending"), None, None) => Ok(Page { sections: vec![self.waiting_for(person).await?] }),
            (Some("show"), Some(id), None) => match self.seen_by(person, id).await? {
                Some(request) => {
                    let card = self.card(&request).await?;
                    Ok(Page { sections: vec![PageSection { heading: card.word().to_owned(), lines: facts(&card), cards: vec![card] }] })
                }
                None => Ok(one("Countersign", [NOT_YOURS.to_owned()])),
            },
            (Some("who"), Some(id), None) => match self.seen_by(person, id).await? {
                Some(request) => self.who(&request).await,
                None => Ok(one("Countersign", [NOT_YOURS.to_owned()])),
            },
            _ => {
                let mut lines = vec!["I do not know that command.".to_owned()];
                lines.extend(HELP.map(str::to_owned));
                Ok(one("Countersign", lines))
            }
        }
    }

    async fn home(&self, person: &Person) -> Result<Page, Failure> {
        let rows = self.store.requests(&RequestFilter::default(), None, SCANNED).await?;
        let mine = rows.into_iter().filter(|request| request.asked().on_behalf_of.as_ref().is_some_and(|behalf| behalf.id == person.id));
        let mut started = PageSection { heading: "Asked on your behalf".to_owned(), ..PageSection::default() };
        for request in mine.take(SHOWN) {
            started.cards.push(self.card(&request).await?);
        }
        if started.cards.is_empty() {
            started.lines.push("Nothing yet.".to_owned());
        }
        Ok(Page { sections: vec![self.waiting_for(person).await?, started] })
    }

    async fn waiting_for(&self, person: &Person) -> Result<PageSection, Failure> {
        let filter = RequestFilter { statuses: vec![Status::Pending], ..RequestFilter::default() };
        let mut section = PageSection { heading: "Waiting for you".to_owned(), ..PageSection::default() };
        for request in self.store.requests(&filter, None, SCANNED).await? {
            if self.concerns(person, &request, true).await? {
                if section.cards.len() == SHOWN {
                    section.lines.push(format!("The newest {SHOWN}; there are more."));
                    break;
                }
                section.cards.push(self.card(&request).await?);
            }
        }
        if section.cards.is_empty() {
            section.lines.push("Nothing waits for your decision.".to_owned());
        }
        Ok(section)
    }

    async fn seen_by(&self, person: &Person, id: &str) -> Result<Option<Request>, Failure> {
        let Ok(id) = id.parse::<RequestId>() else { return Ok(None) };
        let Some(request) = self.store.request(&id).await? else { return Ok(None) };
        let owner = self.store.client(&request.asked().client.id).await?.and_then(|client| client.owner);
        Ok(self.person_sees(person, owner.as_deref(), &request).then_some(request))
    }

    /// Who may approve, and why not others whom one would think of.
    async fn who(&self, request: &Request) -> Result<Page, Failure> {
        let people = self.directory.people(self.clock.now()).await.map_err(|_| Failure::DirectoryUnavailable)?;
        let owner = self.store.client(&request.asked().client.id).await?.and_then(|client| client.owner);
        let behalf = request.asked().on_behalf_of.as_ref();
        let (mut may, mut others) = (Vec::new(), Vec::new());
        for record in people {
            let named = |text: &str| record.email.eq_ignore_ascii_case(text) || record.id.as_ref().is_some_and(|id| id.as_str() == text);
            let id = self.pseudonym(&record).await?;
            let is_behalf = behalf.is_some_and(|person| person.id == id || named(&person.email));
            let candidate = seats::Candidate { person: id, email: record.email.clone(), groups: record.groups.clone() };
            let why = if is_behalf {
                Some("it is asked on their behalf")
            } else if owner.as_deref().is_some_and(named) {
                Some("owns the client that asks")
            } else if !seats::can_fill_any(&request.requirements().open_seats(), &candidate) {
                continue;
            } else if !record.active {
                Some("is not active in the company directory")
            } else if !record.is_human() {
                Some("is no person")
            } else {
                None
            };
            match why {
                None => may.push(record.name),
                Some(why) => others.push(format!("{}: {why}", record.name)),
            }
        }
        let needed = format!("It needs {}.", request.requirements().describe_seats());
        let mut lines = vec![needed, format!("May approve: {}.", names(&may))];
        lines.extend(others.into_iter().take(NAMED).map(|other| format!("Not {other}.")));
        Ok(one("Who may approve", lines))
    }
}

fn one(heading: &str, lines: impl IntoIterator<Item = String>) -> Page {
    Page { sections: vec![PageSection { heading: heading.to_owned(), lines: lines.into_iter().collect(), cards: Vec::new() }] }
}

fn names(people: &[String]) -> String {
    match people.len() {
        0 => "nobody".to_owned(),
        count if count > NAMED => format!("{} and {} more", people[..NAMED].join(", "), count - NAMED),
        _ => people.join(", "),
    }
}

fn facts(card: &Card) -> Vec<String> {
    let mut lines = vec![format!("{} of {} approved", card.granted, card.required)];
    lines.extend(card.seats.iter().map(|seat| match seat.filled_by.as_slice() {
        [] => format!("{}: open", seat.label),
        names => format!("{}: {}", seat.label, names.join(", ")),
    }));
    match &card.phase {
        Phase::Denied { by: Some(by), reason, .. } => {
            lines.push(reason.as_ref().map_or_else(|| format!("Denied by {by}"), |reason| format!("Denied by {by}: {reason}")));
        }
        Phase::Approved { by, .. } if !by.is_empty() => lines.push(format!("Approved by {}", by.join(", "))),
        Phase::Pending | Phase::Approved { .. } | Phase::Denied { .. } | Phase::Expired { .. } | Phase::Cancelled { .. } => {}
    }
    lines
}
