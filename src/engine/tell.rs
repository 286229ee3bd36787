//! Owns what is told beside the cards: a card's thread, the person behind the agent, an older card that a newer one replaced.
//!
//! Never keeps a word: everything is made from the request as it stands when it is sent. Who is mentioned is asked of the
//! directory then; it is a call to look, and lets nobody decide.

use super::{Engine, Failure};
use crate::chat::{ChatPlatform, DeliveryError, Posted};
use crate::directory::Identity;
use crate::domain::notice::{MENTIONED, Notice, Occasion};
use crate::domain::request::Request;
use crate::store::{Delivery, Message};

impl Engine {
    /// Sends one message of a card's thread. A message that nobody needs any more counts as sent.
    ///
    /// # Errors
    /// The inner one when the platform fails, the outer one when the store does.
    pub(super) async fn tell_thread(
        &self,
        platform: &dyn ChatPlatform,
        request: &Request,
        posted: &Posted,
        message: &Message,
    ) -> Result<Result<(), DeliveryError>, Failure> {
        let card = self.card(request).await?;
        let occasion = match message {
            Message::Tell(occasion) => occasion,
            Message::Superseded(ts) if *ts == posted.ts => return Ok(Ok(())),
            Message::Superseded(ts) => return Ok(platform.supersede(posted, ts, &card).await),
        };
        let Some(mut notice) = Notice::in_thread(&card, occasion) else { return Ok(Ok(())) };
        if matches!(occasion, Occasion::Reminder | Occasion::Escalation) {
            let accounts: Vec<String> =
                self.who_may_approve(request).await?.iter().filter_map(|person| platform.account_of(person)).collect();
            notice.more_people = accounts.len().saturating_sub(MENTIONED);
            notice.mentions = accounts.into_iter().take(MENTIONED).collect();
        }
        Ok(platform.reply(posted, &notice).await)
    }

    /// Tells the person that a direct message is for. `None` when there is nobody to tell: unknown, gone, or without an account there.
    ///
    /// # Errors
    /// The inner one when the platform or the directory does not answer, the outer one when the store fails.
    pub(super) async fn tell_person(
        &self,
        platform: &dyn ChatPlatform,
        request: &Request,
        delivery: &Delivery,
    ) -> Result<Option<Result<Posted, DeliveryError>>, Failure> {
        let Ok(person) = delivery.channel.parse() else { return Ok(None) };
        let record = match self.answer(&Identity::Person(person)).await {
            Ok(answer) => answer.map(|(record, _)| record).filter(|record| record.active && record.is_human()),
            Err(Failure::DirectoryUnavailable) => {
                return Ok(Some(Err(DeliveryError::Retry { after: None, code: "directory_unavailable".to_owned() })));
            }
            Err(other) => return Err(other),
        };
        let Some(account) = record.and_then(|record| platform.account_of(&record)) else { return Ok(None) };
        let lines = self.store.delivery_lines(request.id()).await?;
        let address = lines.into_iter().filter(|line| line.platform == platform.id()).find_map(|line| line.permalink);
        let Some(notice) = Notice::to_behalf(&self.card(request).await?, address) else { return Ok(None) };
        Ok(Some(platform.direct(&account, &notice).await))
    }

    /// Where cards go when a card of the request cannot be delivered and no other stands: first where it would be escalated to, then to
    /// the people who can approve it, directly. Nothing that was tried before.
    ///
    /// # Errors
    /// When the store fails.
    pub(super) async fn other_ways(&self, request: &Request) -> Result<Vec<(String, String)>, Failure> {
        let tried: Vec<(String, String)> =
            self.store.delivery_lines(request.id()).await?.into_iter().map(|line| (line.platform, line.channel)).collect();
        let requirements = request.requirements();
        let destinations = requirements.destinations.iter().chain(requirements.escalate.iter().flat_map(|later| &later.destinations));
        let mut ways: Vec<(String, String)> =
            destinations.map(|destination| (destination.platform().to_owned(), destination.channel().to_owned())).collect();
        ways.retain(|way| !tried.contains(way));
        if ways.is_empty() {
            let people = self.who_may_approve(request).await?;
            ways = people
                .iter()
                .flat_map(|person| {
                    self.platforms.iter().filter_map(|platform| Some((platform.id().to_owned(), platform.account_of(person)?)))
                })
                .filter(|way| !tried.contains(way))
                .take(MENTIONED)
                .collect();
        }
        ways.dedup();
        Ok(ways)
    }
}
