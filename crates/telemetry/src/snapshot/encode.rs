//! Metrics as requests of a size that servers take.
//!
//! Every point is encoded once, straight into the request that it goes out in. Only the frames
//! around points are put together here; each is written when it is full.

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    ExponentialHistogram, Gauge, Histogram, Metric, ResourceMetrics, ScopeMetrics, Sum, Summary,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use crate::request::Request;
use crate::signal::Signal;

/// `ExportMetricsServiceRequest.resource_metrics`.
const RESOURCE_METRICS: u8 = 1;
/// `ResourceMetrics.scope_metrics`.
const SCOPE_METRICS: u8 = 2;
/// `ScopeMetrics.metrics`.
const METRICS: u8 = 2;
/// `data_points` of every kind of data.
const DATA_POINTS: u8 = 1;

/// `scopes` as requests of at most `limit` bytes; a single point that is larger goes alone. None if
/// there is no point.
pub(super) fn encode(scopes: &[ScopeMetrics], resource: &Resource, limit: usize) -> Vec<Request> {
    let mut encoder = Encoder::new(resource, limit);
    for scope in scopes {
        let ScopeMetrics { scope: about, schema_url, metrics } = scope;
        let (about, schema_url) = (about.clone(), schema_url.clone());
        encoder.scope.begin(&ScopeMetrics { scope: about, schema_url, metrics: Vec::new() });
        for metric in metrics {
            encoder.add_metric(metric);
        }
        encoder.end_scope();
    }
    encoder.end_request();
    encoder.requests
}

/// Builds requests from the inside out: of each level there is one frame that is not full yet.
struct Encoder {
    limit: usize,
    request: Frame,
    scope: Frame,
    metric: Frame,
    data: Frame,
    /// The field of the data in a metric.
    field: u8,
    /// How many points are in all of the frames.
    points: u64,
    requests: Vec<Request>,
}

/// A message whose repeated field is being filled.
#[derive(Default)]
struct Frame {
    content: Vec<u8>,
    /// How much of the content is not of the repeated field, and begins every frame like this.
    head: usize,
}

// === impl Frame ===

impl Frame {
    /// Begins with the fields of `message`.
    fn begin(&mut self, message: &impl Message) {
        self.content = message.encode_to_vec();
        self.head = self.content.len();
    }

    /// How long this is in the message around it, with `more` bytes.
    fn framed_len(&self, more: usize) -> usize {
        let len = self.content.len() + more;
        1 + prost::length_delimiter_len(len) + len
    }

    /// Moves the content into the message around it, if there is any, and begins again.
    fn end(&mut self, field: u8, around: &mut Vec<u8>) {
        if self.content.len() > self.head {
            write_head(field, self.content.len(), around);
            around.extend_from_slice(&self.content);
            self.content.truncate(self.head);
        }
    }
}

// === impl Encoder ===

impl Encoder {
    fn new(resource: &Resource, limit: usize) -> Self {
        let mut request = Frame::default();
        let resource = Some(resource.clone());
        request.begin(&ResourceMetrics { resource, ..ResourceMetrics::default() });
        let (scope, metric, data) = (Frame::default(), Frame::default(), Frame::default());
        Self { limit, request, scope, metric, data, field: 0, points: 0, requests: Vec::new() }
    }

    fn add_metric(&mut self, metric: &Metric) {
        let Metric { name, description, unit, metadata, data } = metric;
        let (name, description, unit) = (name.clone(), description.clone(), unit.clone());
        self.metric.begin(&Metric {
            name,
            description,
            unit,
            metadata: metadata.clone(),
            data: None,
        });
        match data {
            Some(Data::Gauge(gauge)) => self.add_data(5, &Gauge::default(), &gauge.data_points),
            Some(Data::Sum(sum)) => {
                let head = Sum {
                    data_points: Vec::new(),
                    aggregation_temporality: sum.aggregation_temporality,
                    is_monotonic: sum.is_monotonic,
                };
                self.add_data(7, &head, &sum.data_points);
            }
            Some(Data::Histogram(histogram)) => {
                let aggregation_temporality = histogram.aggregation_temporality;
                let head = Histogram { data_points: Vec::new(), aggregation_temporality };
                self.add_data(9, &head, &histogram.data_points);
            }
            Some(Data::ExponentialHistogram(histogram)) => {
                let aggregation_temporality = histogram.aggregation_temporality;
                let head =
                    ExponentialHistogram { data_points: Vec::new(), aggregation_temporality };
                self.add_data(10, &head, &histogram.data_points);
            }
            Some(Data::Summary(summary)) => {
                self.add_data(11, &Summary::default(), &summary.data_points);
            }
            None => {}
        }
    }

    fn add_data(&mut self, field: u8, head: &impl Message, points: &[impl Message]) {
        self.field = field;
        self.data.begin(head);
        let mut encoded = Vec::new();
        for point in points {
            encoded.clear();
            let len = point.encoded_len();
            write_head(DATA_POINTS, len, &mut encoded);
            encoded.reserve(len);
            point.encode(&mut encoded).expect("a Vec takes any length");
            if self.points > 0 && self.len(encoded.len()) > self.limit {
                self.end_request();
            }
            self.data.content.extend_from_slice(&encoded);
            self.points += 1;
        }
        self.end_metric();
    }

    /// How long the request would be with `more` bytes of points.
    fn len(&self, more: usize) -> usize {
        let data = self.data.framed_len(more);
        let metric = self.metric.framed_len(data);
        self.request.framed_len(self.scope.framed_len(metric))
    }

    fn end_metric(&mut self) {
        self.data.end(self.field, &mut self.metric.content);
        self.metric.end(METRICS, &mut self.scope.content);
    }

    fn end_scope(&mut self) {
        self.scope.end(SCOPE_METRICS, &mut self.request.content);
    }

    fn end_request(&mut self) {
        self.end_metric();
        self.end_scope();
        if self.points == 0 {
            return;
        }
        let mut body = Vec::with_capacity(self.request.framed_len(0));
        self.request.end(RESOURCE_METRICS, &mut body);
        let items = std::mem::take(&mut self.points);
        self.requests.push(Request { signal: Signal::Metrics, body: body.into(), items });
    }
}

/// Writes what comes before a message of `len` bytes in a field.
fn write_head(field: u8, len: usize, to: &mut Vec<u8>) {
    const LENGTH_DELIMITED: u8 = 2;
    to.push(field << 3 | LENGTH_DELIMITED);
    prost::encode_length_delimiter(len, to).expect("a Vec takes any length");
}
