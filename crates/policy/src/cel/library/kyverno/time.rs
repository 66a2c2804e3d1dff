//! The time of day.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::super::Library;
use super::super::arguments::{error, no_such_overload};
use crate::cel::types::Type;
use crate::cel::value::Value;

/// The nanoseconds from the first of January of the year one, from which times are truncated, to
/// 1970.
const NANOSECONDS_BEFORE_1970: i128 = 62_135_596_800 * 1_000_000_000;

/// Declares the library.
pub(super) fn declare(library: &mut Library) {
    library.global("time.now", [], Type::Timestamp, |host, _| Ok(Value::Timestamp((host.now)())));
    library.global("time.toCron", [Type::Timestamp], Type::String, |host, arguments| {
        let Some(Value::Timestamp(time)) = arguments.first() else {
            return Err(no_such_overload());
        };
        let of = TimeZone::UTC.to_datetime(*time);
        let weekday = of.weekday().to_sunday_zero_offset();
        host.meter.allocate(16)?;
        Ok(Value::string(format!(
            "{} {} {} {} {weekday}",
            of.minute(),
            of.hour(),
            of.day(),
            of.month()
        )))
    });
    let parameters = [Type::Timestamp, Type::Duration];
    library.global("time.truncate", parameters, Type::Timestamp, |_, arguments| {
        let [Value::Timestamp(time), Value::Duration(to)] = arguments else {
            return Err(no_such_overload());
        };
        let truncated = truncate(*time, *to);
        Ok(Value::Timestamp(truncated.ok_or_else(|| error("the time is before the year one"))?))
    });
}

/// The last multiple of a duration; the time itself if that is not positive.
fn truncate(time: Timestamp, to: SignedDuration) -> Option<Timestamp> {
    if to <= SignedDuration::ZERO {
        return Some(time);
    }
    let since = time.as_nanosecond() + NANOSECONDS_BEFORE_1970;
    let truncated = time.as_nanosecond() - since.rem_euclid(to.as_nanos());
    Timestamp::from_nanosecond(truncated).ok()
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use crate::cel::library::tests::{NOW, text_of, value};
    use crate::cel::value::Value;

    fn time(written: &str) -> Value<'static> {
        Value::Timestamp(written.parse().expect("a time"))
    }

    fn truncated(written: &str, to: SignedDuration) -> String {
        match value("time.truncate", &[time(written), Value::Duration(to)]) {
            Value::Timestamp(time) => time.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn now_is_the_time_of_the_evaluation() {
        let Value::Timestamp(now) = value("time.now", &[]) else { panic!() };
        assert_eq!(now.to_string(), NOW);
    }

    #[test]
    fn a_time_is_truncated_to_a_multiple_since_the_year_one() {
        let hour = SignedDuration::from_hours(1);
        assert_eq!(truncated("2026-03-04T05:06:07.89Z", hour), "2026-03-04T05:00:00Z");
        assert_eq!(truncated("2026-03-04T05:06:07Z", SignedDuration::ZERO), "2026-03-04T05:06:07Z");
        // A Monday, for the first of January of the year one was one.
        assert_eq!(truncated("2026-03-04T05:06:07Z", hour * 24 * 7), "2026-03-02T00:00:00Z");
        assert_eq!(truncated("1969-12-31T23:59:59Z", hour), "1969-12-31T23:00:00Z");
    }

    #[test]
    fn a_time_becomes_a_schedule() {
        assert_eq!(text_of("time.toCron", &[time("2026-03-04T05:06:07Z")]), "6 5 4 3 3");
        assert_eq!(text_of("time.toCron", &[time("2026-03-01T00:00:00Z")]), "0 0 1 3 0");
    }
}
