//! Exponential histograms: scaled down, added, subtracted, with no count lost or moved.
//!
//! Bucket `i` at scale `s` holds the values in `(base^i, base^(i+1)]` with `base = 2^(2^-s)`. One
//! scale less puts two neighbours into one bucket, number `i >> 1`: rounded towards minus infinity,
//! below zero too.

use opentelemetry_proto::tonic::metrics::v1::ExponentialHistogramDataPoint as Point;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;

use super::points::{add_sums, join_spans};

/// What OpenTelemetry takes unless told otherwise.
pub(super) const DEFAULT_MAX_SIZE: u32 = 160;
/// All numbers that there are have their place in two buckets at this scale.
const COARSEST: i32 = -11;

/// Brings `point` to at most `max_scale`, and to at most `max_size` buckets on each side of zero.
pub(super) fn fit(point: &mut Point, max_size: u32, max_scale: i8) {
    trim(point);
    scale_down(point, i32::from(max_scale));
    let scale = fitting_scale(point, None, max_size);
    scale_down(point, scale);
}

/// Adds `from` to `into`, at the scale that both have and that fits.
pub(super) fn add(into: &mut Point, mut from: Point, max_size: u32) {
    align(into, &mut from);
    let scale = fitting_scale(into, Some(&from), max_size);
    scale_down(into, scale);
    scale_down(&mut from, scale);
    add_buckets(side(&mut into.positive), from.positive.take());
    add_buckets(side(&mut into.negative), from.negative.take());
    into.zero_count += from.zero_count;
    into.count += from.count;
    into.sum = add_sums(into.sum, from.sum);
    (into.min, into.max) = (None, None);
    join_spans(
        (&mut into.start_time_unix_nano, &mut into.time_unix_nano),
        (from.start_time_unix_nano, from.time_unix_nano),
    );
    if into.exemplars.is_empty() {
        into.exemplars = from.exemplars;
    }
}

/// What `now` has more than `since`, or `None` if a count went down.
pub(crate) fn difference(now: &Point, since: &Point) -> Option<Point> {
    let (mut now, mut since) = (now.clone(), since.clone());
    align(&mut now, &mut since);
    now.count = now.count.checked_sub(since.count)?;
    now.zero_count = now.zero_count.checked_sub(since.zero_count)?;
    now.sum = now.sum.zip(since.sum).map(|(now, since)| now - since);
    subtract_buckets(side(&mut now.positive), since.positive.as_ref())?;
    subtract_buckets(side(&mut now.negative), since.negative.as_ref())?;
    trim(&mut now);
    Some(now)
}

/// Brings both to one scale and one width of the bucket around zero.
fn align(one: &mut Point, other: &mut Point) {
    trim(one);
    trim(other);
    let scale = one.scale.min(other.scale);
    scale_down(one, scale);
    scale_down(other, scale);
    if one.zero_threshold.total_cmp(&other.zero_threshold).is_ne() {
        // What one counts as zero ends inside a bucket of the other: so far it has to reach.
        let mut threshold = one.zero_threshold.max(other.zero_threshold);
        loop {
            let reach = widen_zero(one, threshold).max(widen_zero(other, threshold));
            if reach <= threshold {
                break;
            }
            threshold = reach;
        }
    }
}

/// Counts what lies within `threshold` as zero; returns how far the last bucket that begins there
/// reaches.
fn widen_zero(point: &mut Point, threshold: f64) -> f64 {
    let width = (-f64::from(point.scale)).exp2();
    let mut reach = threshold;
    for buckets in [&mut point.positive, &mut point.negative] {
        let buckets = side(buckets);
        let lower = |bucket: usize| (f64::from(buckets.offset) + bucket as f64) * width;
        let inside = |bucket: &usize| lower(*bucket).exp2() < threshold;
        let within = (0..buckets.bucket_counts.len()).take_while(inside).count();
        if within > 0 {
            reach = reach.max(lower(within).exp2());
        }
        point.zero_count += buckets.bucket_counts.drain(..within).sum::<u64>();
        buckets.offset += within as i32;
        trim_buckets(buckets);
    }
    point.zero_threshold = reach;
    reach
}

/// The highest scale, not above that of `one`, at which the buckets of both together are at most
/// `max_size` on each side of zero. Both have the same scale.
fn fitting_scale(one: &Point, other: Option<&Point>, max_size: u32) -> i32 {
    let positive = [one.positive.as_ref(), other.and_then(|it| it.positive.as_ref())];
    let negative = [one.negative.as_ref(), other.and_then(|it| it.negative.as_ref())];
    let mut scale = one.scale;
    for sides in [positive, negative] {
        let ranges = sides.into_iter().flatten().filter_map(range);
        let joined = ranges.reduce(|(low, high), (l, h)| (low.min(l), high.max(h)));
        let Some((low, high)) = joined else { continue };
        let fits = |scale: i32| {
            let by = one.scale - scale;
            (high >> by) - (low >> by) < i64::from(max_size)
        };
        while scale > COARSEST && !fits(scale) {
            scale -= 1;
        }
    }
    scale
}

/// The numbers of the first and the last bucket.
fn range(buckets: &Buckets) -> Option<(i64, i64)> {
    let first = i64::from(buckets.offset);
    let last = (buckets.bucket_counts.len() as i64).checked_sub(1).filter(|last| *last >= 0)?;
    Some((first, first + last))
}

fn scale_down(point: &mut Point, scale: i32) {
    let Ok(by @ 1..) = u32::try_from(point.scale.saturating_sub(scale)) else { return };
    for buckets in [&mut point.positive, &mut point.negative] {
        scale_buckets_down(side(buckets), by.min(31));
    }
    point.scale = scale;
}

fn scale_buckets_down(buckets: &mut Buckets, by: u32) {
    let Some((first, last)) = range(buckets) else {
        buckets.offset = 0;
        return;
    };
    let offset = first >> by;
    let mut counts = vec![0; ((last >> by) - offset + 1) as usize];
    for (number, count) in (first..).zip(&buckets.bucket_counts) {
        counts[((number >> by) - offset) as usize] += count;
    }
    buckets.bucket_counts = counts;
    buckets.offset = offset as i32;
}

/// Leaves no empty bucket at either end: only those that count need room.
fn trim(point: &mut Point) {
    trim_buckets(side(&mut point.positive));
    trim_buckets(side(&mut point.negative));
}

fn trim_buckets(buckets: &mut Buckets) {
    let counts = &mut buckets.bucket_counts;
    let used = counts.iter().rposition(|count| *count > 0).map_or(0, |last| last + 1);
    counts.truncate(used);
    let unused = counts.iter().take_while(|count| **count == 0).count();
    counts.drain(..unused);
    buckets.offset = if counts.is_empty() { 0 } else { buckets.offset + unused as i32 };
}

fn add_buckets(into: &mut Buckets, from: Option<Buckets>) {
    let Some(from) = from else { return };
    let Some((from_first, from_last)) = range(&from) else { return };
    let Some((first, last)) = range(into) else {
        *into = from;
        return;
    };
    let (low, high) = (first.min(from_first), last.max(from_last));
    let mut counts = vec![0; (high - low + 1) as usize];
    for (offset, buckets) in [(first, &*into), (from_first, &from)] {
        for (count, more) in
            counts[(offset - low) as usize..].iter_mut().zip(&buckets.bucket_counts)
        {
            *count += more;
        }
    }
    into.bucket_counts = counts;
    into.offset = low as i32;
}

fn subtract_buckets(from: &mut Buckets, what: Option<&Buckets>) -> Option<()> {
    let Some((what, (first, _))) = what.and_then(|what| Some((what, range(what)?))) else {
        return Some(());
    };
    let skipped = usize::try_from(first - i64::from(from.offset)).ok()?;
    for (number, less) in what.bucket_counts.iter().enumerate() {
        let count = from.bucket_counts.get_mut(skipped + number)?;
        *count = count.checked_sub(*less)?;
    }
    Some(())
}

fn side(buckets: &mut Option<Buckets>) -> &mut Buckets {
    buckets.get_or_insert_default()
}

#[cfg(test)]
mod tests;
