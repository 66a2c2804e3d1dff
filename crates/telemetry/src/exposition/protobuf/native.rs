//! Exponential histograms of OpenTelemetry as native histograms of Prometheus.
//!
//! Both have buckets that grow by a power of 2^(2^-scale). OpenTelemetry's bucket i ends at power
//! i + 1, Prometheus's at power i, so that every index is one higher there. Prometheus knows the
//! scales -4 to 8: finer ones are made coarser, which is exact; coarser ones cannot be made finer.

use opentelemetry_proto::tonic::metrics::v1::ExponentialHistogramDataPoint;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;

use super::message::{BucketSpan, Exemplar, Histogram, Timestamp};
use crate::exposition::exemplar;

const COARSEST: i32 = -4;
const FINEST: i32 = 8;
/// So many empty buckets in a row are written as such; for more a new span is shorter.
const GAP: usize = 2;

/// Buckets in order, with their index, none of them empty.
type Filled = Vec<(i64, u64)>;

/// This histogram as a native one; none if it cannot be one.
pub(super) fn histogram(point: &ExponentialHistogramDataPoint) -> Option<Histogram> {
    if point.scale < COARSEST {
        return None;
    }
    let schema = point.scale.min(FINEST);
    let coarser = point.scale - schema;
    let positive = filled(point.positive.as_ref(), coarser)?;
    let negative = filled(point.negative.as_ref(), coarser)?;
    // Prometheus refuses the whole scrape for one histogram that does not add up.
    let buckets = positive.iter().chain(&negative).map(|(_, count)| *count);
    if buckets.chain([point.zero_count]).try_fold(0u64, u64::checked_add)? != point.count {
        return None;
    }
    let (mut positive_span, positive_delta) = spans(&positive)?;
    let (negative_span, negative_delta) = spans(&negative)?;
    if positive_span.is_empty() && negative_span.is_empty() {
        // How a native histogram that has seen nothing is told from a classic one.
        positive_span.push(BucketSpan { offset: Some(0), length: Some(0) });
    }
    let mut exemplars: Vec<_> = point.exemplars.iter().collect();
    // Prometheus takes none without a time, and drops what is out of order.
    exemplars.retain(|it| it.time_unix_nano > 0 && exemplar::value(it).is_some());
    exemplars.sort_by_key(|it| it.time_unix_nano);
    Some(Histogram {
        sample_count: Some(point.count),
        sample_sum: point.sum,
        created_timestamp: Timestamp::new(point.start_time_unix_nano),
        schema: Some(schema),
        zero_threshold: Some(point.zero_threshold),
        zero_count: Some(point.zero_count),
        negative_span,
        negative_delta,
        positive_span,
        positive_delta,
        exemplars: exemplars.into_iter().map(Exemplar::from).collect(),
        ..Histogram::default()
    })
}

/// Buckets as Prometheus numbers them, `coarser` scales lower; none if a count has no room.
fn filled(buckets: Option<&Buckets>, coarser: i32) -> Option<Filled> {
    let Some(buckets) = buckets else { return Some(Vec::new()) };
    let mut filled = Filled::new();
    let shift = coarser.min(63);
    for (index, count) in (i64::from(buckets.offset)..).zip(&buckets.bucket_counts) {
        if *count == 0 {
            continue;
        }
        let index = (index >> shift) + 1;
        match filled.last_mut() {
            Some((last, sum)) if *last == index => *sum = sum.checked_add(*count)?,
            _ => filled.push((index, *count)),
        }
    }
    Some(filled)
}

/// Runs of buckets, and each count as its difference from the one before; none if a number does
/// not fit into its field.
fn spans(filled: &Filled) -> Option<(Vec<BucketSpan>, Vec<i64>)> {
    let mut spans: Vec<BucketSpan> = Vec::new();
    let mut deltas = Vec::with_capacity(filled.len());
    // The index that would continue the last span.
    let mut next = 0;
    let mut before = 0i64;
    for (index, count) in filled {
        let gap = usize::try_from(index - next).unwrap_or(usize::MAX);
        match spans.last_mut() {
            Some(span) if gap <= GAP => {
                for _ in 0..gap {
                    deltas.push(-before);
                    before = 0;
                }
                span.length = Some(span.length? + u32::try_from(gap).ok()? + 1);
            }
            _ => {
                let offset = i32::try_from(index - next).ok()?;
                spans.push(BucketSpan { offset: Some(offset), length: Some(1) });
            }
        }
        let count = i64::try_from(*count).ok()?;
        deltas.push(count - before);
        (before, next) = (count, index + 1);
    }
    Some((spans, deltas))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(offset: i32, length: u32) -> BucketSpan {
        BucketSpan { offset: Some(offset), length: Some(length) }
    }

    fn point(scale: i32, offset: i32, counts: &[u64]) -> ExponentialHistogramDataPoint {
        ExponentialHistogramDataPoint {
            scale,
            count: counts.iter().sum(),
            positive: Some(Buckets { offset, bucket_counts: counts.to_vec() }),
            ..ExponentialHistogramDataPoint::default()
        }
    }

    #[test]
    fn every_bucket_ends_where_it_ended() {
        // (1, 2], (2, 4], (4, 8] at scale 0.
        let native = histogram(&point(0, 0, &[3, 0, 5])).unwrap();
        assert_eq!(native.schema, Some(0));
        assert_eq!(native.positive_span, [span(1, 3)]);
        assert_eq!(native.positive_delta, [3, -3, 5]);
        assert_eq!(native.sample_count, Some(8));
    }

    #[test]
    fn a_long_gap_begins_a_new_span() {
        let native = histogram(&point(3, -10, &[1, 0, 0, 2, 0, 0, 0, 4])).unwrap();
        assert_eq!(native.positive_span, [span(-9, 4), span(3, 1)]);
        assert_eq!(native.positive_delta, [1, -1, 0, 2, 2]);
    }

    #[test]
    fn a_finer_scale_is_made_coarser_and_no_count_is_lost() {
        for scale in [9, 10, 20] {
            let counts: Vec<u64> = (0..64).collect();
            let fine = point(scale, -33, &counts);
            let native = histogram(&fine).unwrap();
            assert_eq!(native.schema, Some(8));
            let mut seen = std::collections::BTreeMap::new();
            for (index, count) in (-33i64..).zip(&counts) {
                let bucket = index.div_euclid(1 << (scale - 8)) + 1;
                *seen.entry(bucket).or_insert(0) += count;
            }
            seen.retain(|_, count| *count > 0);
            assert_eq!(unfold(&native.positive_span, &native.positive_delta), seen);
        }
    }

    fn unfold(spans: &[BucketSpan], deltas: &[i64]) -> std::collections::BTreeMap<i64, u64> {
        let (mut index, mut count) = (0i64, 0i64);
        let mut deltas = deltas.iter();
        let mut buckets = std::collections::BTreeMap::new();
        for span in spans {
            index += i64::from(span.offset.unwrap());
            for _ in 0..span.length.unwrap() {
                count += deltas.next().unwrap();
                buckets.insert(index, u64::try_from(count).unwrap());
                index += 1;
            }
        }
        assert_eq!(deltas.next(), None);
        buckets.retain(|_, count| *count > 0);
        buckets
    }

    #[test]
    fn what_no_native_histogram_can_say_is_left_out() {
        assert!(histogram(&point(-4, 0, &[1])).is_some());
        assert_eq!(histogram(&point(-5, 0, &[1])), None, "too coarse");
        let mut wrong = point(0, 0, &[1]);
        wrong.count = 2;
        assert_eq!(histogram(&wrong), None, "one measurement is in no bucket");
        assert_eq!(histogram(&point(0, i32::MAX, &[1])), None, "no such index");
    }

    #[test]
    fn zero_and_negative_values_have_their_places() {
        let mut both = point(2, 4, &[1]);
        both.negative = Some(Buckets { offset: -2, bucket_counts: vec![2, 2] });
        (both.zero_count, both.zero_threshold, both.count) = (7, 1e-9, 12);
        let native = histogram(&both).unwrap();
        assert_eq!((native.zero_count, native.zero_threshold), (Some(7), Some(1e-9)));
        assert_eq!(native.negative_span, [span(-1, 2)]);
        assert_eq!(native.negative_delta, [2, 0]);
    }

    #[test]
    fn a_histogram_that_has_seen_nothing_is_native_all_the_same() {
        let native = histogram(&ExponentialHistogramDataPoint::default()).unwrap();
        assert_eq!(native.positive_span, [span(0, 0)]);
        assert_eq!(native.schema, Some(0));
    }
}
