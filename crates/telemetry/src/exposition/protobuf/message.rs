//! The messages of `io.prometheus.client` that a scrape is made of, declared by hand: the fields
//! that are written, under their numbers.

use prost::{Enumeration, Message};

/// A family without its series, which are encoded one by one behind it.
#[derive(Clone, PartialEq, Message)]
pub(in crate::exposition) struct FamilyHead {
    #[prost(string, optional, tag = "1")]
    pub(in crate::exposition) name: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub(in crate::exposition) help: Option<String>,
    #[prost(enumeration = "MetricType", optional, tag = "3")]
    pub(in crate::exposition) kind: Option<i32>,
    #[prost(string, optional, tag = "5")]
    pub(in crate::exposition) unit: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub(in crate::exposition) enum MetricType {
    Counter = 0,
    Gauge = 1,
    Histogram = 4,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::exposition) struct Metric {
    #[prost(message, repeated, tag = "1")]
    pub(in crate::exposition) label: Vec<LabelPair>,
    #[prost(message, optional, tag = "2")]
    pub(in crate::exposition) gauge: Option<Gauge>,
    #[prost(message, optional, tag = "3")]
    pub(in crate::exposition) counter: Option<Counter>,
    #[prost(message, optional, tag = "7")]
    pub(in crate::exposition) histogram: Option<Histogram>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::exposition) struct LabelPair {
    #[prost(string, optional, tag = "1")]
    pub(in crate::exposition) name: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub(in crate::exposition) value: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::exposition) struct Gauge {
    #[prost(double, optional, tag = "1")]
    pub(in crate::exposition) value: Option<f64>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::exposition) struct Counter {
    #[prost(double, optional, tag = "1")]
    pub(in crate::exposition) value: Option<f64>,
    #[prost(message, optional, tag = "2")]
    pub(in crate::exposition) exemplar: Option<Exemplar>,
    #[prost(message, optional, tag = "3")]
    pub(in crate::exposition) created_timestamp: Option<Timestamp>,
}

/// Either with `bucket`, or with a schema and all that follows it, but for the exemplars.
#[derive(Clone, PartialEq, Message)]
pub(in crate::exposition) struct Histogram {
    #[prost(uint64, optional, tag = "1")]
    pub(in crate::exposition) sample_count: Option<u64>,
    #[prost(double, optional, tag = "2")]
    pub(in crate::exposition) sample_sum: Option<f64>,
    #[prost(message, repeated, tag = "3")]
    pub(in crate::exposition) bucket: Vec<Bucket>,
    #[prost(message, optional, tag = "15")]
    pub(in crate::exposition) created_timestamp: Option<Timestamp>,
    #[prost(sint32, optional, tag = "5")]
    pub(in crate::exposition) schema: Option<i32>,
    #[prost(double, optional, tag = "6")]
    pub(in crate::exposition) zero_threshold: Option<f64>,
    #[prost(uint64, optional, tag = "7")]
    pub(in crate::exposition) zero_count: Option<u64>,
    #[prost(message, repeated, tag = "9")]
    pub(in crate::exposition) negative_span: Vec<BucketSpan>,
    #[prost(sint64, repeated, packed = "false", tag = "10")]
    pub(in crate::exposition) negative_delta: Vec<i64>,
    #[prost(message, repeated, tag = "12")]
    pub(in crate::exposition) positive_span: Vec<BucketSpan>,
    #[prost(sint64, repeated, packed = "false", tag = "13")]
    pub(in crate::exposition) positive_delta: Vec<i64>,
    #[prost(message, repeated, tag = "16")]
    pub(in crate::exposition) exemplars: Vec<Exemplar>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::exposition) struct Bucket {
    #[prost(uint64, optional, tag = "1")]
    pub(in crate::exposition) cumulative_count: Option<u64>,
    #[prost(double, optional, tag = "2")]
    pub(in crate::exposition) upper_bound: Option<f64>,
    #[prost(message, optional, tag = "3")]
    pub(in crate::exposition) exemplar: Option<Exemplar>,
}

/// Buckets without a gap. The first offset counts from bucket 0, later ones from the span before.
#[derive(Clone, Copy, PartialEq, Message)]
pub(in crate::exposition) struct BucketSpan {
    #[prost(sint32, optional, tag = "1")]
    pub(in crate::exposition) offset: Option<i32>,
    #[prost(uint32, optional, tag = "2")]
    pub(in crate::exposition) length: Option<u32>,
}

#[derive(Clone, PartialEq, Message)]
pub(in crate::exposition) struct Exemplar {
    #[prost(message, repeated, tag = "1")]
    pub(in crate::exposition) label: Vec<LabelPair>,
    #[prost(double, optional, tag = "2")]
    pub(in crate::exposition) value: Option<f64>,
    #[prost(message, optional, tag = "3")]
    pub(in crate::exposition) timestamp: Option<Timestamp>,
}

/// `google.protobuf.Timestamp`.
#[derive(Clone, Copy, PartialEq, Message)]
pub(in crate::exposition) struct Timestamp {
    #[prost(int64, tag = "1")]
    pub(in crate::exposition) seconds: i64,
    #[prost(int32, tag = "2")]
    pub(in crate::exposition) nanos: i32,
}
