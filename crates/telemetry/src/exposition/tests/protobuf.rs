//! A reader of Prometheus's protobuf, as far as a scrape has it.

use prost::Message;

use super::openmetrics::Labels;
use crate::exposition::protobuf::message::{LabelPair, Metric, MetricType};

/// One family, as one message has it.
#[derive(Clone, PartialEq, Message)]
pub(super) struct Family {
    #[prost(string, optional, tag = "1")]
    pub(super) name: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub(super) help: Option<String>,
    #[prost(enumeration = "MetricType", optional, tag = "3")]
    pub(super) kind: Option<i32>,
    #[prost(message, repeated, tag = "4")]
    pub(super) metric: Vec<Metric>,
    #[prost(string, optional, tag = "5")]
    pub(super) unit: Option<String>,
}

/// Reads a page.
pub(super) fn parse(mut page: &[u8]) -> Vec<Family> {
    let mut families = Vec::new();
    while !page.is_empty() {
        families.push(Family::decode_length_delimited(&mut page).unwrap());
    }
    families
}

pub(super) fn labels(pairs: &[LabelPair]) -> Labels {
    let pair = |pair: &LabelPair| (pair.name.clone().unwrap(), pair.value.clone().unwrap());
    let labels: Labels = pairs.iter().map(pair).collect();
    assert_eq!(labels.len(), pairs.len(), "a label twice: {pairs:?}");
    labels
}
