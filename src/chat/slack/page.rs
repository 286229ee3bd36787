//! Owns what of a page stands in Slack, and how much of it: everything foreign is cleaned and cut here, before the template.
//!
//! Never decides who may see it, and holds no markup.

use crate::chat::slack::face::{exact, named};
use crate::chat::slack::metadata::Reference;
use crate::chat::{Page, PageSection};
use crate::domain::card::Card;
use crate::domain::text::{clean, cut, one_line};
use serde::Serialize;

/// Longest text of one part.
const TEXT: usize = 2_500;
/// Longest line about a request.
const LINE: usize = 120;
/// Requests on one page, so that an answer stays within a message.
const ITEMS: usize = 10;

/// A part, as the template draws it.
#[derive(Debug, Serialize)]
pub(super) struct Section {
    heading: String,
    text: String,
    items: Vec<Item>,
}

#[derive(Debug, Serialize)]
struct Item {
    about: String,
    action: String,
    text: String,
}

/// The parts of a page; at least one.
pub(super) fn sections(page: &Page) -> Vec<Section> {
    let sections: Vec<Section> = page.sections.iter().map(section).collect();
    if sections.is_empty() { vec![section(&PageSection { heading: "Countersign".to_owned(), ..PageSection::default() })] } else { sections }
}

fn section(section: &PageSection) -> Section {
    let lines = section.lines.iter().map(|line| one_line(line)).collect::<Vec<_>>().join("\n");
    Section {
        heading: named(cut(&one_line(&section.heading), 150)),
        text: cut(&clean(&lines), TEXT),
        items: section.cards.iter().take(ITEMS).map(item).collect(),
    }
}

fn item(card: &Card) -> Item {
    let line = |text: &str| cut(&exact(text), LINE);
    let target = card.target.as_deref().map(|target| format!(" on {}", line(target))).unwrap_or_default();
    let behalf = card.on_behalf_of.as_deref().map(|email| format!(", for {}", line(email))).unwrap_or_default();
    let until = if card.is_pending() {
        let at = card.expires_at.to_string();
        format!("\nExpires {} UTC", at.get(..16).unwrap_or(&at).replace('T', " "))
    } else {
        String::new()
    };
    Item {
        about: Reference { request: card.request.clone(), digest: card.digest }.to_string(),
        action: one_line(&card.action),
        text: format!("{}: {}{target}\nAsked by {}{behalf}\n{}{until}", card.word(), line(&card.action), line(&card.client), card.request),
    }
}
