//! Owns durations as people write them: `"120s"`, `"10m"`, `"1h30m"`, `"30d"`.
//!
//! Never reads a bare number: nobody can say later whether it meant seconds or milliseconds.

use std::time::Duration;

/// Units from large to small, with their seconds.
const UNITS: [(&str, u64); 4] = [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];

/// Reads a duration: whole numbers with `d`, `h`, `m`, `s`, larger units first, each at most once.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("\"{}\" is not a duration; write for example \"90s\", \"10m\", \"1h30m\" or \"30d\"", text.escape_debug());
    let mut rest = text;
    let mut units = UNITS.iter();
    let mut seconds = 0_u64;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        let unit_end = rest[digits..].chars().next().map_or(digits, |unit| digits + unit.len_utf8());
        // The iterator only moves on: a unit that is repeated or out of order is not found any more.
        let (_, size) = units.find(|(unit, _)| *unit == &rest[digits..unit_end]).ok_or_else(wrong)?;
        seconds = number.checked_mul(*size).and_then(|more| seconds.checked_add(more)).ok_or_else(wrong)?;
        rest = &rest[unit_end..];
    }
    Ok(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_people_write() {
        for (text, seconds) in
            [("120s", 120), ("10m", 600), ("1h", 3_600), ("1h30m", 5_400), ("30d", 2_592_000), ("1d2h3m4s", 93_784), ("0s", 0)]
        {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn refuses_everything_else() {
        for text in
            ["", "120", "s", "1m1h", "1s1s", "1 m", "-1s", "1.5h", "1ms", "1µ", "99999999999999999999s", "999999999999999999d", "+1s"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse("5 min").unwrap_err(), "\"5 min\" is not a duration; write for example \"90s\", \"10m\", \"1h30m\" or \"30d\"");
    }
}
