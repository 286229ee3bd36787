//! Owns the log lines about strangers who were refused: enough of them to see an attack and where it comes from, few enough
//! that nobody can fill a disk.
//!
//! Never keeps anything about a stranger.

use crate::domain::time::Timestamp;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Lines that may be written within [`WINDOW`].
const LINES: u32 = 10;
const WINDOW: Duration = Duration::from_mins(1);

/// Says when a line may be written.
#[derive(Debug, Default)]
pub struct Strangers(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    began: Option<Timestamp>,
    lines: u32,
    unlogged: u64,
}

impl Strangers {
    /// Whether this refusal gets a line, and how many before it got none.
    pub(super) fn line(&self, now: Timestamp) -> Option<u64> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if window.began.is_none_or(|began| now.since(began) >= WINDOW) {
            window.began = Some(now);
            window.lines = 0;
        }
        if window.lines == LINES {
            window.unlogged += 1;
            return None;
        }
        window.lines += 1;
        Some(std::mem::take(&mut window.unlogged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_lines_a_minute_and_the_next_one_tells_how_many_are_missing() {
        let (strangers, start) = (Strangers::default(), Timestamp::from_millis(0));
        let told: Vec<_> = (0..25).map(|second| strangers.line(start.plus(Duration::from_secs(second)))).collect();
        assert_eq!(told.iter().flatten().collect::<Vec<_>>(), [&0; 10]);
        assert_eq!(strangers.line(start.plus(Duration::from_secs(59))), None);
        assert_eq!(strangers.line(start.plus(WINDOW)), Some(16));
        assert_eq!(strangers.line(start.plus(WINDOW)), Some(0));
    }
}
