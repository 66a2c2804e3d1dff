//! Times as people read them: how long ago, and how long until.

use jiff::Timestamp;

/// How long ago `then` was; what lies ahead by another clock was now.
pub(super) fn ago(then: Timestamp, now: Timestamp) -> String {
    span(now.duration_since(then).as_secs())
}

/// How long until `then`, or that it is past.
pub(super) fn until(then: Timestamp, now: Timestamp) -> String {
    match then.duration_since(now).as_secs() {
        seconds if seconds < 0 => format!("{} ago", span(-seconds)),
        seconds => format!("in {}", span(seconds)),
    }
}

/// In the largest unit of which there are at least two.
fn span(seconds: i64) -> String {
    match seconds.max(0) {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short() {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let at = |seconds: i64| Timestamp::from_second(1_000_000 - seconds).unwrap();
        for (seconds, expected) in [
            (-5, "0 s"),
            (0, "0 s"),
            (119, "119 s"),
            (120, "2 min"),
            (7_200, "2 h"),
            (200_000, "2 d"),
        ] {
            assert_eq!(ago(at(seconds), now), expected);
        }
        assert_eq!(until(at(-90_000), now), "in 25 h");
        assert_eq!(until(at(60), now), "60 s ago");
    }
}
