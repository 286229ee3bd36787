//! Owns when a callback is tried again, as Standard Webhooks recommends: at once, then after 5 s, 5 min, 30 min, 2 h, 5 h,
//! 10 h, 14 h, 20 h and 24 h.
//!
//! Never tries for ever: after the last pause the message is a dead letter, some three days after the change.

use std::time::Duration;

const PAUSES: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_mins(5),
    Duration::from_mins(30),
    Duration::from_hours(2),
    Duration::from_hours(5),
    Duration::from_hours(10),
    Duration::from_hours(14),
    Duration::from_hours(20),
    Duration::from_hours(24),
];
/// The longest pause that a receiver's `Retry-After` can ask for.
const LONGEST: Duration = Duration::from_hours(24);

/// The pause after `failures` tries that failed; `None`: no more. `random` adds up to a tenth, so that what failed together
/// does not come back together; `asked` is the receiver's `Retry-After`.
#[must_use]
pub fn pause(failures: u32, random: u8, asked: Option<Duration>) -> Option<Duration> {
    let pause = *PAUSES.get(usize::try_from(failures.checked_sub(1)?).ok()?)?;
    let pause = pause + pause.mul_f64(f64::from(random) / 2_560.0);
    Some(asked.map_or(pause, |asked| asked.min(LONGEST).max(pause)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_are_those_of_the_specification() {
        let seconds: Vec<u64> = (1..=9).map(|failures| pause(failures, 0, None).unwrap().as_secs()).collect();
        assert_eq!(seconds, [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400]);
        assert_eq!((pause(0, 0, None), pause(10, 0, None), pause(u32::MAX, 255, None)), (None, None, None));
    }

    #[test]
    fn chance_and_the_receiver_only_lengthen() {
        let longest = pause(1, 255, None).unwrap();
        assert!(longest > Duration::from_secs(5) && longest < Duration::from_millis(5_500), "{longest:?}");
        assert_eq!(pause(1, 0, Some(Duration::from_secs(60))), Some(Duration::from_secs(60)));
        assert_eq!(pause(2, 0, Some(Duration::from_secs(1))), Some(Duration::from_secs(300)));
        assert_eq!(pause(1, 0, Some(Duration::MAX)), Some(LONGEST));
    }
}
