//! Timestamps and durations: how they are read and written, and what they are made of.
//!
//! Durations are those of Go: nanoseconds in 64 bits. Timestamps are those of protobuf: the years 1
//! to 9999, of which the last day and a bit, which the crate cannot hold in every zone, is one moment.

use jiff::civil::{DateTime, date};
use jiff::tz::{Offset, TimeZone};
use jiff::{SignedDuration, Timestamp, Zoned};

use super::{error, mismatch};
use crate::cel::excerpt;
use crate::cel::library::{Call, Library};
use crate::cel::meter::{Fault, Host};
use crate::cel::types::Type;
use crate::cel::value::Value;

/// The first second of the year 1.
const FIRST: i64 = -62_135_596_800;
/// The last second of the year 9999.
const LAST: i64 = 253_402_300_799;
const NANOSECONDS: i128 = 1_000_000_000;

pub(super) fn declare(library: &mut Library) {
    let parts: [(&'static str, Call); 10] = [
        ("getFullYear", |_, arguments| part(arguments, |time| i64::from(time.year()))),
        ("getMonth", |_, arguments| part(arguments, |time| i64::from(time.month()) - 1)),
        ("getDayOfYear", |_, arguments| part(arguments, |time| i64::from(time.day_of_year()) - 1)),
        ("getDayOfMonth", |_, arguments| part(arguments, |time| i64::from(time.day()) - 1)),
        ("getDate", |_, arguments| part(arguments, |time| i64::from(time.day()))),
        ("getDayOfWeek", |_, arguments| {
            part(arguments, |time| i64::from(time.weekday().to_sunday_zero_offset()))
        }),
        ("getHours", |_, arguments| part(arguments, |time| i64::from(time.hour()))),
        ("getMinutes", |_, arguments| part(arguments, |time| i64::from(time.minute()))),
        ("getSeconds", |_, arguments| part(arguments, |time| i64::from(time.second()))),
        ("getMilliseconds", |_, arguments| part(arguments, |time| i64::from(time.millisecond()))),
    ];
    for (name, call) in parts {
        library.member(name, [Type::Timestamp], Type::Int, call);
        library.member(name, [Type::Timestamp, Type::String], Type::Int, call);
    }
    let totals: [(&'static str, Call); 4] = [
        ("getHours", |_, arguments| total(arguments, 3600 * NANOSECONDS)),
        ("getMinutes", |_, arguments| total(arguments, 60 * NANOSECONDS)),
        ("getSeconds", |_, arguments| total(arguments, NANOSECONDS)),
        ("getMilliseconds", |_, arguments| total(arguments, NANOSECONDS / 1000)),
    ];
    for (name, call) in totals {
        library.member(name, [Type::Duration], Type::Int, call);
    }
    for from in [Type::String, Type::Int, Type::Duration] {
        library.global("duration", [from], Type::Duration, duration);
    }
    for from in [Type::String, Type::Int, Type::Timestamp] {
        library.global("timestamp", [from], Type::Timestamp, timestamp);
    }
}

fn part<'a>(arguments: &[Value<'a>], part: fn(&Zoned) -> i64) -> Result<Value<'a>, Fault> {
    let (timestamp, zone) = match arguments {
        [Value::Timestamp(timestamp)] => (timestamp, TimeZone::UTC),
        [Value::Timestamp(timestamp), Value::String(zone)] => (timestamp, time_zone(zone)?),
        _ => return Err(mismatch()),
    };
    Ok(Value::Int(part(&timestamp.to_zoned(zone))))
}

/// A time zone by its name, or an offset such as `-08:00`.
fn time_zone(name: &str) -> Result<TimeZone, Fault> {
    let unknown = || error(format!("unknown time zone {}", excerpt(name)));
    let Some((hours, minutes)) = name.split_once(':') else {
        return match name {
            "" | "UTC" => Ok(TimeZone::UTC),
            name => TimeZone::get(name).map_err(|_| unknown()),
        };
    };
    let (hours, minutes) = match (hours.parse::<i32>(), minutes.parse::<i32>()) {
        (Ok(hours @ -99..=99), Ok(minutes @ 0..=99)) => (hours, minutes),
        _ => return Err(unknown()),
    };
    let sign = if name.starts_with('-') { -1 } else { 1 };
    let seconds = hours * 3600 + sign * minutes * 60;
    Offset::from_seconds(seconds).map(Offset::to_time_zone).map_err(|_| unknown())
}

fn total<'a>(arguments: &[Value<'a>], unit: i128) -> Result<Value<'a>, Fault> {
    match arguments {
        [Value::Duration(duration)] => {
            let units = nanoseconds(*duration) / unit;
            i64::try_from(units).map(Value::Int).map_err(|_| error("integer overflow"))
        }
        _ => Err(mismatch()),
    }
}

fn duration<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    match arguments {
        [Value::Duration(duration)] => Ok(Value::Duration(*duration)),
        [Value::Int(int)] => Ok(Value::Duration(SignedDuration::from_nanos(*int))),
        [Value::String(text)] => {
            host.meter.scan(16 * text.len())?;
            let invalid = || error(format!("invalid duration \"{}\"", excerpt(text)));
            parse_duration(text).map(Value::Duration).ok_or_else(invalid)
        }
        _ => Err(mismatch()),
    }
}

fn timestamp<'a>(host: &Host<'_>, arguments: &[Value<'a>]) -> Result<Value<'a>, Fault> {
    match arguments {
        [Value::Timestamp(timestamp)] => Ok(Value::Timestamp(*timestamp)),
        [Value::Int(seconds)] => {
            timestamp_from(i128::from(*seconds) * NANOSECONDS).map(Value::Timestamp)
        }
        [Value::String(text)] => {
            host.meter.scan(text.len())?;
            let invalid = || error(format!("invalid timestamp \"{}\"", excerpt(text)));
            parse_timestamp(text).map(Value::Timestamp).ok_or_else(invalid)
        }
        _ => Err(mismatch()),
    }
}

pub(super) fn nanoseconds(duration: SignedDuration) -> i128 {
    duration.as_nanos()
}

/// A duration of that many nanoseconds, if Go has it.
pub(super) fn duration_from(nanoseconds: i128) -> Result<SignedDuration, Fault> {
    i64::try_from(nanoseconds)
        .map(SignedDuration::from_nanos)
        .map_err(|_| error("integer overflow"))
}

/// A timestamp that many nanoseconds after 1970, if protobuf has it.
pub(super) fn timestamp_from(nanoseconds: i128) -> Result<Timestamp, Fault> {
    Timestamp::from_nanosecond(nanoseconds)
        .ok()
        .filter(is_in_range)
        .ok_or_else(|| error("timestamp overflow"))
}

pub(super) fn added(timestamp: Timestamp, nanoseconds: i128) -> Result<Timestamp, Fault> {
    timestamp_from(timestamp.as_nanosecond() + nanoseconds)
}

fn is_in_range(timestamp: &Timestamp) -> bool {
    let seconds = timestamp.as_nanosecond().div_euclid(NANOSECONDS);
    (i128::from(FIRST)..=i128::from(LAST)).contains(&seconds)
}

/// Reads a timestamp as RFC 3339 has it: with seconds, and with a zone or an offset.
pub(crate) fn parse_timestamp(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let shape = b"0000-00-00T00:00:00";
    let (start, rest) = bytes.split_at_checked(shape.len())?;
    let fits = start.iter().zip(shape).all(|(byte, shape)| match shape {
        b'0' => byte.is_ascii_digit(),
        other => byte == other,
    });
    let rest = match rest.split_first()? {
        (b'.', digits) => {
            let count = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if count == 0 {
                return None;
            }
            &digits[count..]
        }
        _ => rest,
    };
    let zoned = match rest {
        b"Z" => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] => [h1, h2, m1, m2].into_iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !fits || !zoned || &start[17..19] == b"60" {
        return None;
    }
    let ends_all = || {
        let civil = text[..shape.len()].parse::<DateTime>();
        civil.is_ok_and(|civil| civil.date() >= date(9999, 12, 30)).then_some(Timestamp::MAX)
    };
    text.parse().ok().or_else(ends_all).filter(is_in_range)
}

/// Reads a duration as Go does, such as `1h30m` or `-1.5s`.
pub(crate) fn parse_duration(text: &str) -> Option<SignedDuration> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(SignedDuration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let (amount, after) = parse_part(rest)?;
        total = total.checked_add(amount)?;
        rest = after;
    }
    let total = if negative { -total } else { total };
    i64::try_from(total).ok().map(SignedDuration::from_nanos)
}

/// One number with its unit, in nanoseconds, and what comes after it.
fn parse_part(text: &str) -> Option<(i128, &str)> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let (whole, rest) = text.split_at(digits(text));
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(digits(rest)),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let units = [
        ("ns", 1),
        ("us", 1_000),
        ("µs", 1_000),
        ("μs", 1_000),
        ("ms", 1_000_000),
        ("s", NANOSECONDS),
        ("m", 60 * NANOSECONDS),
        ("h", 3600 * NANOSECONDS),
    ];
    let end = rest.find(|char: char| char == '.' || char.is_ascii_digit()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(end);
    let (_, unit) = units.into_iter().find(|(name, _)| *name == unit)?;
    let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut amount = whole.checked_mul(unit)?;
    let mut scale = unit;
    for digit in fraction.bytes().take(18) {
        let digit = i128::from(digit - b'0');
        amount += digit * scale / 10;
        scale /= 10;
    }
    (amount <= 1 << 64).then_some((amount, rest))
}

/// A duration as `string()` writes it: in seconds.
pub(crate) fn duration_text(duration: SignedDuration) -> String {
    format!("{}s", duration.as_secs_f64())
}
