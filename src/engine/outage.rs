//! Owns the knowledge that a chat platform refuses us altogether: a revoked token, an uninstalled app.
//!
//! Never gives anything up because of it: what is to be sent stays where it is, nobody calls the platform but one probe now
//! and then, and everything goes on once that is answered. A restart forgets it and finds out again.

use super::{Engine, Failure};
use crate::domain::time::Timestamp;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A platform that refuses us is asked again this often.
pub const PROBE_EVERY: Duration = Duration::from_secs(30);

/// Which platforms refuse us.
#[derive(Debug, Default)]
pub struct Outages(Mutex<BTreeMap<String, Outage>>);

#[derive(Debug, Clone)]
struct Outage {
    code: String,
    probe_at: Timestamp,
}

impl Outages {
    /// The platforms, with the code of each.
    #[must_use]
    pub fn all(&self) -> BTreeMap<String, String> {
        self.lock().iter().map(|(platform, outage)| (platform.clone(), outage.code.clone())).collect()
    }

    /// Notes that a platform refused; answers whether that is news.
    fn begin(&self, platform: &str, code: &str, now: Timestamp) -> bool {
        let outage = Outage { code: code.to_owned(), probe_at: now.plus(PROBE_EVERY) };
        self.lock().insert(platform.to_owned(), outage).is_none()
    }

    fn end(&self, platform: &str) {
        self.lock().remove(platform);
    }

    fn due(&self, now: Timestamp) -> Vec<String> {
        self.lock().iter().filter(|(_, outage)| outage.probe_at <= now).map(|(platform, _)| platform.clone()).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Outage>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// A platform refuses us altogether.
    pub(super) fn platform_is_down(&self, platform: &str, code: &str) {
        if self.outages.begin(platform, code, self.clock.now()) {
            tracing::error!(
                platform,
                code,
                "the platform refuses this app altogether; nothing is sent until it accepts it again: is it installed, is the token the present one?"
            );
        }
        self.count_outages();
    }

    fn count_outages(&self) {
        metrics::gauge!("countersign_platforms_down").set(f64::from(u32::try_from(self.outages.lock().len()).unwrap_or(u32::MAX)));
    }

    /// Asks the platforms that refused us whether they accept us again; answers how many do.
    ///
    /// # Errors
    /// Never; the form is that of the other steps.
    pub async fn probe_platforms(&self) -> Result<usize, Failure> {
        let mut back = 0;
        for name in self.outages.due(self.clock.now()) {
            let Some(platform) = self.platform(&name) else { continue };
            match platform.probe().await {
                Ok(()) => {
                    self.outages.end(&name);
                    self.count_outages();
                    tracing::info!(platform = name, "the platform accepts this app again");
                    self.cards.notify_one();
                    back += 1;
                }
                Err(error) => {
                    self.outages.begin(&name, error.code(), self.clock.now());
                }
            }
        }
        Ok(back)
    }
}
